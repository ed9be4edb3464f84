"""A package that adds augmenters, installed in a folder: what pip leaves behind."""

from __future__ import annotations

from pathlib import Path

MODULE = '''
"""Rows that say hello."""

from dataclasses import dataclass

from hypermix.augment.base import one_hot
from hypermix.records import SyntheticRow


@dataclass(frozen=True)
class Hello:
    settings: dict
    material: object
    attempts: int = 1
    most_requests: int = 0

    @property
    def n_rows(self):
        return self.settings["rows"]

    def rehearse(self, example, turn):
        return example.text

    def talk(self, slot):
        yield from ()
        example = self.material.examples[slot.row]
        labels = self.material.task.labels
        return SyntheticRow(
            slot.row, "hello " + example.text, example.label, one_hot(example.label, labels), "greeted", 1.0,
            (example.id,), None, None,
        )


def lacking(settings, material):
    return object()


def study(settings, lesson):
    shares = lesson.targets["train"].mean(axis=0)
    return {split: [shares] * len(lesson.texts[split]) for split in ("validation", "test")}


THING = 3
'''
ENTRY_POINTS = """[hypermix.augmenters]
hello = {module}:Hello
lacking = {module}:lacking
thing = {module}:THING
gone = {module}:Gone
nowhere = no_such_module_at_all:Hello

[hypermix.classifiers]
hello = {module}:study
lacking = {module}:lacking
"""


def install(site: Path, module: str, version: str = "1.2", name: str = "hello-rows") -> None:
    """Write a module and the metadata of its distribution."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(MODULE, encoding="utf-8")
    write_metadata(site, name, version, ENTRY_POINTS.format(module=module))


def write_metadata(site: Path, name: str, version: str, entry_points: str) -> None:
    """Write what tells that a distribution is installed."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
