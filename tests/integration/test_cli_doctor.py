"""`hypermix doctor` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hypermix.cli import main
from hypermix.llm import remote
from hypermix.steps.doctor import machine
from tests.architecture.source import ROOT
from tests.integration.llm.conftest import Thread
from tests.integration.steps.listing import KEY, PRICE, Listing, listing, takes_all
from tests.loopback import Reply, refusal


@pytest.fixture
def server() -> Iterator[Listing]:
    with listing() as running:
        running.key = KEY
        yield running


@pytest.fixture
def config(tmp_path: Path, server: Listing, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a config with one hosted llm, whose key is in a variable; the terminal has 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEAR_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(remote, "_start", Thread)
    # torch takes seconds to import; one test below does it.
    monkeypatch.setattr(machine, "check_torch", partial(machine.check_torch, 'print(\'["2.13", ""]\')'))
    Path("rows.csv").write_text("text,label\n", encoding="utf-8")
    near = {
        "api": "chat",
        "base_url": server.base_url,
        "model": "tiny",
        "price": PRICE,
        "key": {"env": "NEAR_KEY"},
    }
    return write(
        "config/config.yaml",
        {
            "datasets": {"toy": {"source": "file", "train": "rows.csv"}},
            "seeds": {"data": [1, 2], "trials": [7]},
            "llms": {"near": near},
            "augmenters": {"none": {"method": "none"}, "mix": {"method": "gpt3mix", "llm": "near"}},
            "classifiers": {"minilm": {"method": "finetune"}},
        },
    )


def write(name: str, content: dict[str, Any]) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return path


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stands on the terminal in one line; nothing is on standard error, and no line is too long."""
    out, err = capsys.readouterr()
    assert err == ""
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "\x1b" not in out
    assert KEY not in re.sub(r"\s", "", out)
    return " ".join(out.split())


def test_all_is_well(config: Path, server: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = told(capsys)
    wanted = ("python", "packages", "torch", "folder results", "folder cache", "config", "dataset toy")
    more = ("classifier minilm", "llm near", "augmenter mix", "budget")
    places = [text.find(f" {about} ") for about in (*wanted, *more)]
    assert -1 not in places
    assert places == sorted(places)
    assert "is fine: 4 runs" in text
    assert "to do" not in text
    assert len(server.requests) == 2


def test_again_asks_once_more(config: Path, server: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    for words, asked in (([], 2), ([], 2), (["--again"], 4)):
        assert main(["doctor", *words]) == 0
        assert len(server.requests) == asked
    assert "asked now: 2 requests" in told(capsys)


def test_overlay_is_laid_over(config: Path, server: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(
        "more.yaml", {"augmenters": {"mix": {"label_source": "scoring"}}, "llms": {"near": {"price": None}}}
    )
    assert main(["doctor", str(config), str(overlay)]) == 1
    # An endpoint with messages has no scoring, which the config alone tells.
    assert "label_source: 'scoring' stands there" in told(capsys)
    assert server.requests == []


@pytest.mark.parametrize("echoes", [False, True])
def test_keys_stay_hidden_in_refusals(
    config: Path, server: Listing, echoes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"Incorrect API key: {KEY}" if echoes else "\x1b[31mno\r"
    server.decide = lambda path, body: refusal(403, said)
    assert main(["doctor"]) == 1
    text = told(capsys)
    assert "the key may not do this" in text
    assert text.endswith("before a run, 0 warnings.") or "warning" in text
    for file in Path().rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_refused_setting_is_no_noise(config: Path, server: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    def decide(path: str, body: dict[str, Any]) -> Reply:
        return refusal(400, "no", param="seed") if "seed" in body else takes_all(path, body)

    server.decide = decide
    assert main(["doctor"]) == 0
    assert "no seed" in told(capsys)


def test_mistakes_of_the_config_are_lines(config: Path, server: Listing, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write("bad.yaml", {"augmentors": {}, "classifiers": {"minilm": {"batch_size": 0}}})
    assert main(["doctor", str(config), str(overlay)]) == 1
    text = told(capsys)
    assert "augmentors: unknown key; did you mean 'augmenters'?" in text
    assert "batch_size: 0 stands there" in text
    assert "2 to do before a run" in text
    assert "python" in text
    assert "llm near" not in text
    assert server.looks == []


@pytest.mark.parametrize(
    ("overlay", "wanted"),
    [
        ({"except": [{"dataset": "toy"}]}, "only and except leave none of 4 runs"),
        ({"only": [{"subsample": "9s"}]}, "matches none of 4 runs"),
    ],
)
def test_experiment_without_runs_is_a_line(
    config: Path, overlay: dict[str, Any], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(config), str(write("more.yaml", overlay))]) == 1
    assert wanted in told(capsys)


def test_missing_config_is_a_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "gone.yaml"]) == 1
    assert "gone.yaml: no such file" in told(capsys)


def test_nobody_there_ends_soon(config: Path) -> None:
    """A process of its own, with the real torch and a hub that is not there."""
    unreachable = {"base_url": "http://127.0.0.1:9/v1"}
    overlay = write(
        "away.yaml",
        {
            "datasets": {"far": {"source": "hub", "path": "acme/reviews"}},
            "llms": {"near": unreachable, "smol": {"api": "transformers", "model": "acme/smol"}},
            "augmenters": {"smol": {"method": "gpt3mix", "llm": "smol"}},
        },
    )
    code = "import sys; from hypermix.cli import main; sys.exit(main())"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(Path("home").absolute()),
        "PYTHONPATH": str(ROOT),
    }
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", str(config), str(overlay)],
        env={**kept, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert time.monotonic() - started < 30
    assert done.returncode == 1
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    assert "http://127.0.0.1:9/v1 cannot be reached (ConnectError)" in text
    assert text.count("the hub cannot be reached") == 2
    assert "3 to do before a run" in text
    assert re.search(r"ok torch \d", text)
    assert "\x1b" not in done.stdout
