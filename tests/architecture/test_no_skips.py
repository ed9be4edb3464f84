from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

SKIPPED_TEST = "import pytest\ndef test_one():\n    pytest.skip('no browser')\n"
SKIPPED_MODULE = "import pytest\npytest.importorskip('there_is_no_such_module')\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_one():\n    assert False\n"


def run_pytest(folder: Path, text: str, no_skips: str) -> subprocess.CompletedProcess[str]:
    path = folder / "test_inner.py"
    path.write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
    ]
    environment = {**os.environ, "HYPERMIX_NO_SKIPS": no_skips, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, str(path)], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("text", [SKIPPED_TEST, SKIPPED_MODULE])
def test_skip_fails_where_forbidden(tmp_path: Path, text: str) -> None:
    done = run_pytest(tmp_path, text, "1")

    assert done.returncode != 0
    assert "lets nothing be skipped" in done.stdout


def test_skip_passes_where_allowed(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SKIPPED_TEST, "0")

    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout


def test_expected_failure_is_no_skip(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, EXPECTED_FAILURE, "1")

    assert done.returncode == 0, done.stdout
    assert "1 xfailed" in done.stdout
