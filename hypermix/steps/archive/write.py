"""archive: one file from which a finished study runs again elsewhere, without network and without a key."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from hypermix import __version__
from hypermix.config import experiment
from hypermix.config.llm import KEY_FILE, HostedLlm
from hypermix.config.load import without_removed
from hypermix.config.model import Config
from hypermix.config.registry import Registry
from hypermix.errors import ArtefactError
from hypermix.llm.archive import export_store
from hypermix.llm.secret import known_secrets
from hypermix.llm.store import RequestStore
from hypermix.steps.archive.guard import Guard
from hypermix.steps.archive.material import Wish, collect
from hypermix.steps.archive.page import tell_need, write_page
from hypermix.steps.archive.replay import find_answers
from hypermix.steps.archive.source import program_files
from hypermix.steps.archive.zipped import MANIFEST, is_safe, write_archive
from hypermix.steps.artefacts import AGGREGATE_OUTPUTS
from hypermix.steps.why import explain

STUDY = "study"
"""The folder of the results in an archive."""

ANSWERS = "answers.parquet"
PAGE = "README.md"
CONFIG = "config/config.yaml"
_SPENT = {"costs", "report"}
"""Parts of the names of outputs that tell what was paid and when, which no replay repeats."""

_LEFT_OUT = ("budget",)
_RUNTIME: Mapping[str, Any] = {"results": "results", "cache": "cache", "offline": True}


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        size: Bytes of the file.
        files: How many files it holds.
        answers: How many answers of language models.
        needed: What must be at hand beside it, a line each.
    """

    size: int
    files: int
    answers: int
    needed: list[str]

    def lines(self, target: Path) -> list[str]:
        """Tell it in lines."""
        told = f"{self.files} files, {self.answers} answers, {self.size / 1e6:.1f} MB"
        return [f"{target}: {told}.", *(f"Not in it: {line}" for line in self.needed)]


def write(raw: Mapping[str, Any], config: Config, registry: Registry, target: Path, wish: Wish) -> Written:
    """Write a finished study into one file. Equal studies give equal files.

    Args:
        raw: The config as its files have it, laid over each other.
        config: The same, checked.
        registry: The known datasets.
        target: The file.
        wish: What the user says of the data.

    Raises:
        ConfigError: If the wish names no dataset.
        ArtefactError: If the study is not finished, if something that it is made from is gone, if a file holds a key,
            or if the archive cannot be written.
    """
    _check_finished(config)
    material = collect(config, registry, wish)
    keys = find_answers(config)
    manifest = {**describe(config), "answers": len(keys), "needed": material.needed}
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Path | bytes] = {
            CONFIG: yaml.safe_dump(_clean(raw), sort_keys=False, allow_unicode=True).encode(),
            PAGE: write_page(manifest).encode(),
        }
        if keys:
            made[ANSWERS] = Path(folder, ANSWERS)
            export_store(RequestStore(Path(config.cache) / "requests"), Path(folder, ANSWERS), keys)
        members = _join(program_files(), made, _results(config), material.files)
        guard = Guard(_secrets(config))
        for name, content in members.items():
            guard.check(name, content)
        size = write_archive(target, members, manifest)
    return Written(size, len(members) + 1, len(keys), [tell_need(one) for one in material.needed])


def compared() -> list[str]:
    """Return the files of results that an equal study has in common with this one, byte for byte."""
    return [path for name, path in AGGREGATE_OUTPUTS.items() if not _SPENT & set(name.split("_"))]


def _check_finished(config: Config) -> None:
    told = explain(config)
    if told.groups or told.damaged:
        jobs = sum(told.jobs.values())
        raise ArtefactError(
            f"{config.results}: {jobs} of {told.total} jobs would still run, so that the study is not finished; see "
            "`hypermix why` with the same files, run snakemake, and archive then"
        )


def describe(config: Config) -> dict[str, Any]:
    """Describe what makes a study beside its files: versions, machine and seeds."""
    installed = [found.metadata for found in metadata.distributions()]
    # The first of a name is the one that is imported; what a broken installation leaves has no name.
    packages = {one["Name"]: one["Version"] for one in reversed(installed) if "Name" in one}
    return {
        "hypermix": __version__,
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "packages": dict(sorted(packages.items(), key=lambda package: package[0].lower())),
        "seeds": {"data": experiment.data_seeds(config), "trials": experiment.trial_seeds(config)},
        "runs": len(experiment.runs(config)),
    }


def _clean(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a config what is of one machine and changes no result: folders, the places of keys, the budget."""
    kept = {name: part for name, part in without_removed(raw).items() if name not in _LEFT_OUT}
    llms = kept.get("llms") or {}
    own = {name: {key: value for key, value in llm.items() if key != "key"} for name, llm in llms.items()}
    return {**kept, **({"llms": own} if own else {}), **_RUNTIME}


def _results(config: Config) -> dict[str, Path]:
    folder = Path(config.results, "aggregate")
    return {f"{STUDY}/{path}": folder / path for path in AGGREGATE_OUTPUTS.values()}


def _secrets(config: Config) -> dict[str, str]:
    places = [llm.key for llm in config.llms.values() if isinstance(llm, HostedLlm) and llm.key is not None]
    files = [Path(KEY_FILE), *(Path(place.file) for place in places if place.file is not None)]
    return known_secrets(files, {place.env for place in places if place.env is not None})


def _join(*parts: Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    joined: dict[str, Path | bytes] = {}
    for part in parts:
        for name, content in part.items():
            if name in joined or name == MANIFEST or not is_safe(name):
                raise ArtefactError(
                    f"{name}: this place in the archive is taken, or its name has characters that some systems lack; "
                    "give this file of yours another name, in the config too"
                )
            joined[name] = content
    return joined
