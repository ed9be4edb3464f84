"""What `hypermix doctor` finds of the machine: Python, packages, torch, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypermix.report.checkup import Finding
from hypermix.steps.doctor import machine


def test_python_is_told() -> None:
    assert machine.check_python().level == "ok"
    assert machine.check_python((3, 12, 1)) == Finding("ok", "python", "3.12.1")
    old = machine.check_python((3, 10, 2))
    assert (old.level, old.todo) == ("to do", "install Python 3.11 or newer")


@pytest.mark.parametrize(
    ("installed", "level", "wanted"),
    [
        ({"alpha": "1.0", "be_ta": "2.0", "gamma": "4.1"}, "ok", "3 installed, at the pinned versions"),
        ({"alpha": "1.0", "be_ta": "2.1", "gamma": "4.0"}, "ok", "3 installed, at the pinned versions"),
        ({"alpha": "0.9", "be_ta": "2.0", "gamma": "4.0"}, "warning", "alpha 0.9 instead of 1.0"),
        ({"alpha": "0.9", "gamma": "4.0"}, "to do", "be_ta not installed"),
    ],
)
def test_packages_are_compared(tmp_path: Path, installed: dict[str, str], level: str, wanted: str) -> None:
    (tmp_path / "run.in").write_text("# some words\nalpha\nbe_ta>=2\ngamma\n", encoding="utf-8")
    pins = "alpha==1.0 \\\n    --hash=sha256:00\nbe-ta==2.0 ; python < '3'\nbe-ta==2.1 ; python >= '3'\ndelta==3\n"
    (tmp_path / "run.txt").write_text(pins, encoding="utf-8")
    found = machine.check_packages(tmp_path, installed.get)
    assert found.level == level
    assert wanted in found.told
    assert bool(found.todo) is (level != "ok")


def test_packages_without_pins_or_lists(tmp_path: Path) -> None:
    assert machine.check_packages(tmp_path).level == "ok"
    (tmp_path / "run.in").write_text("alpha\n", encoding="utf-8")
    assert machine.check_packages(tmp_path, lambda name: "7").told == "1 installed"
    assert machine.check_packages(tmp_path, lambda name: None).todo.endswith("/run.in")
    assert machine.installed_version("pytest") == pytest.__version__
    assert machine.installed_version("no-such-package-at-all") is None


def test_every_requirement_of_the_project_is_read() -> None:
    asked: list[str] = []

    def find(name: str) -> str:
        asked.append(name)
        return "0"

    machine.check_packages(find=find)
    assert {"openai", "snakemake", "filelock", "pyyaml"} <= set(asked)


@pytest.mark.parametrize(
    ("code", "level", "wanted"),
    [
        ('print(\'["2.13", ""]\')', "ok", "2.13; no GPU is seen"),
        ('print(\'["2.13", "Big GPU"]\')', "ok", "2.13; the GPU is Big GPU"),
        ("import no_such_module", "to do", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "to do", "no message"),
    ],
)
def test_torch_is_told(code: str, level: str, wanted: str) -> None:
    found = machine.check_torch(code)
    assert found.level == level
    assert wanted in found.told


def test_folder_with_and_without_room(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    assert machine.check_folder("cache", deep, lambda path: 3 * 10**9).level == "ok"
    assert not deep.exists()
    assert list(tmp_path.iterdir()) == []
    found = machine.check_folder("cache", deep, lambda path: 10**9)
    assert (found.level, found.about) == ("warning", "folder cache")
    assert found.told.endswith("1.0 GB free")
    assert machine.check_folder("cache", tmp_path).told.endswith("GB free")


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "results"
    file.write_text("", encoding="utf-8")
    for folder in (file, file / "deeper"):
        found = machine.check_folder("results", folder)
        assert found.level == "to do"
        assert "cannot be written: Not a directory" in found.told
