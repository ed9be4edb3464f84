"""choose: the variant that is worth exporting, by the tables of the experiment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.errors import ArtefactError, ConfigError
from hypermix.files import read_provenance, read_table, write_text
from hypermix.stats.choice import Study, choose_variant
from hypermix.steps.artefacts import CHOICE

_WANTED = ("dataset", "subsample", "data_seed", "trial", "augmenter", "classifier")
"""The keys of the exported run, which each choice has."""


def run(slice_json: str, inputs: Mapping[str, Path], output: Path) -> None:
    """Write which variant to export, and why.

    Args:
        slice_json: The slice of `choose`.
        inputs: The tables ``runs``, ``summary`` and ``comparisons`` of the experiment; their metadata hold its config.
        output: Where the choice goes, as JSON: the keys of the exported run, ``measured`` and ``why``.

    Raises:
        ConfigError: If the config must name a variant, since no run tells the best one.
    """
    names = json.loads(slice_json)["export"]
    whole = read_provenance(inputs["summary"])["slices"]["aggregate"]["config"]
    config = load_config({**whole, "export": names})
    methods = {name: augmenter.method for name, augmenter in config.augmenters.items()}
    kept = experiment.exported_classifiers(config)
    tables = {name: read_table(path, name) for name, path in inputs.items()}
    bounds = experiment.bounds(config)
    tables = {
        name: table[table["classifier"].isin(kept) & ~table["augmenter"].isin(bounds)] for name, table in tables.items()
    }
    study = Study(**tables, methods=methods, alpha=config.report.alpha)
    draw = experiment.whole_draw(config)
    choice = choose_variant(study, str(draw["dataset"]), names["augmenter"], names["classifier"])
    write_text(output, json.dumps({**draw, **asdict(choice)}, indent=2, ensure_ascii=False) + "\n")


def read_choice(path: Path) -> dict[str, Any]:
    """Read which variant to export.

    Raises:
        ArtefactError: If the file is damaged.
    """
    try:
        choice = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(f"{path}: cannot be read ({error}); delete it and run snakemake again") from error
    if not isinstance(choice, dict) or not choice.keys() >= set(_WANTED):
        raise ArtefactError(f"{path}: is no choice of a variant; delete it and run snakemake again")
    return choice


def export_augmentation(config: Config, files: Sequence[str] = ()) -> dict[str, Any]:
    """Return the keys of the augmentation that an export needs, as far as that is known before it runs.

    Args:
        config: The config.
        files: The config files that it comes from, for the command that is told; none for the default one.

    Raises:
        ArtefactError: If the choice is damaged.
        ConfigError: If neither the config nor an earlier choice names the augmenter, or nothing can be exported.
    """
    experiment.check_export(config)
    draw: dict[str, Any] = dict(experiment.whole_draw(config))
    path = Path(config.results, CHOICE)
    if config.export.augmenter is not None:
        return {**draw, "augmenter": config.export.augmenter}
    choice = read_choice(path) if path.is_file() else {}
    if choice and _is_of(config, draw, choice):
        return {**draw, "augmenter": choice["augmenter"]}
    laid = f" --configfile {shlex.join(files)}" if files else ""
    raise ConfigError(
        "export.augmenter: is null, and which augmenter is best is not known yet; name it, or run: snakemake choose"
        f"{laid}"
    )


def _is_of(config: Config, draw: Mapping[str, Any], choice: Mapping[str, Any]) -> bool:
    """Tell whether a choice fits the config: after a change it will be made anew, and may be another."""
    classifiers = [config.export.classifier or name for name in experiment.exported_classifiers(config)]
    # Lists, since what a file says may be no key of a mapping.
    known = choice["augmenter"] in [*config.augmenters] and choice["classifier"] in classifiers
    return known and all(choice[name] == value for name, value in draw.items())
