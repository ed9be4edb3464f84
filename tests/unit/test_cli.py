from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypermix import __version__
from hypermix.cli import main

CONFIG = """
datasets:
  toy: {source: file, train: rows.csv}
seeds: {data: [1, 2], trials: [7]}
augmenters:
  none: {method: none}
  duplicate: {method: duplicate}
classifiers:
  tiny: {method: finetune}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", "text,label\n")
    return write(tmp_path / "config" / "config.yaml", CONFIG)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def check(*files: Path) -> int:
    return main(["config", "check", *map(str, files)])


# config check


def test_a_missing_file_is_told_with_its_key(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent.parent / "rows.csv").unlink()
    assert check(config) == 1
    told = capsys.readouterr().err
    assert "datasets.toy.train: rows.csv: no such file" in told


def test_good_config_is_counted(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config) == 0
    assert capsys.readouterr().out == "The config is fine: 4 runs.\n"


def test_config_of_the_folder_is_default(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    assert "4 runs" in capsys.readouterr().out


def test_overlays_are_laid_in_order(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = write(config.parent / "more.yaml", "seeds: {data: [1, 2, 3, 4, 5]}")
    fewer = write(config.parent / "fewer.yaml", "augmenters: {duplicate: null}")
    assert check(config, more, fewer) == 0
    assert "5 runs" in capsys.readouterr().out
    other = write(config.parent / "other.yaml", "seeds: {data: [9]}")
    assert check(config, more, other) == 0
    assert "2 runs" in capsys.readouterr().out


def test_every_mistake_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "bad.yaml", "augmentors: {}\nclassifiers: {tiny: {batch_size: 0}}")
    assert check(config, overlay) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "the config has 2 mistakes:" in told.err
    assert "augmentors: unknown key; did you mean 'augmenters'?" in told.err
    assert "classifiers.tiny.batch_size: 0 stands there" in told.err


def test_experiment_without_runs_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = write(config.parent / "none.yaml", "except: [{dataset: toy}]")
    assert check(config, overlay) == 1
    assert "only and except leave none of 4 runs" in capsys.readouterr().err


def test_missing_file_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config, Path("gone.yaml")) == 1
    assert capsys.readouterr().err == "gone.yaml: no such file\n"


@pytest.mark.parametrize("content", [b"a: [1,", b"a: b: c", b"\xff\xfe\x00", b"\tx: 1"])
def test_file_that_is_no_yaml_is_told(config: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    config.write_bytes(content)
    assert check(config) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{config}: is not YAML: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just words", "7"])
def test_file_without_settings_is_told(config: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    write(config, content)
    assert check(config) == 1
    assert capsys.readouterr().err == f"{config}: holds no mapping of settings\n"


def test_folder_in_place_of_file_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config.parent) == 1
    assert capsys.readouterr().err == f"{config.parent}: cannot be read: Is a directory\n"


# config write


def test_written_files_are_in_step(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "write"]) == 0
    assert json.loads((config.parent / "schema.json").read_text(encoding="utf-8"))["type"] == "object"
    assert "max_tokens" in (config.parent / "README.md").read_text(encoding="utf-8")
    assert main(["config", "write", "--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["config/README.md", "config/schema.json"])
def test_file_out_of_step_is_shown(config: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    main(["config", "write"])
    lines = Path(name).read_text(encoding="utf-8").splitlines(keepends=True)
    changed = write(Path(name), "".join(["an old line\n", *lines]))
    assert main(["config", "write", "--check"]) == 1
    told = capsys.readouterr().out
    assert "-an old line\n" in told
    assert f"{name} is out of step with hypermix/config/model.py; run: hypermix config write\n" in told
    assert told.count("out of step") == 1
    assert changed.read_text(encoding="utf-8").startswith("an old line")


def test_missing_files_are_out_of_step(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "write", "--check"]) == 1
    assert capsys.readouterr().out.count("is out of step") == 2
    assert sorted(path.name for path in config.parent.iterdir()) == ["config.yaml"]


# The command.


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"hypermix {__version__}\n"


@pytest.mark.parametrize("words", [[], ["config"], ["no-such-command"], ["config", "check", "--no-such-option"]])
def test_wrong_use_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: hypermix" in capsys.readouterr().err


def test_process_ends_with_the_status(config: Path) -> None:
    code = "import sys; from hypermix.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for words, status in ((["config", "check"], 0), (["config", "check", "gone.yaml"], 1)):
        ended = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, check=False)
        assert ended.returncode == status
