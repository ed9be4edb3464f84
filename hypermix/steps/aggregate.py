"""aggregate: the tables of an experiment, its verdict and its report."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hypermix import __version__, tables
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.files import write_table, write_text
from hypermix.report.data import ReportData
from hypermix.report.files import write_files
from hypermix.report.page import render
from hypermix.report.pictures import Gallery
from hypermix.stats.quality import summarize_quality
from hypermix.stats.summarize import compare, summarize
from hypermix.stats.verdict import judge
from hypermix.steps.analysis import TABLES, analyze, shared_rows
from hypermix.steps.costs import join_shared, price_seeds, seed_costs, sum_costs, sum_spending
from hypermix.steps.curves import learning_curves, read_histories
from hypermix.steps.inputs import Inputs, read_kind
from hypermix.steps.notice import tell_notices
from hypermix.steps.provenance import Evidence, artefact_name
from hypermix.steps.rejected import count_rejected
from hypermix.steps.shown import read_fates, sample_rows
from hypermix.steps.stale import check_slices
from hypermix.steps.words import list_labels, list_words

_CHECKED = ("metrics", "synthetic", "quality", "profile")
"""The files whose checksums are told. Receipts hold times: equal experiments would give other bytes."""

_SCHEMAS = {"quality": "all_quality", **TABLES}
_REPEATERS = ("duplicate", "shuffle")
"""The methods whose texts are the real rows."""

_PACKAGES = ("torch", "transformers", "openai", "xllamacpp", "snakemake", "pandas", "pyarrow", "scipy")


def run(
    slice_json: str,
    inputs: Inputs,
    outputs: Mapping[str, Path],
    notices: Sequence[str] = (),
) -> None:
    """Write the tables, the verdict and the report of an experiment, or of what is there of it.

    Args:
        slice_json: The slice of `aggregate`: the whole config but for what changes no result.
        inputs: The files of each kind: ``metrics``, ``confusion``, ``calibration``, ``synthetic``, ``quality``,
            ``receipt``, ``profile``, ``history``.
        outputs: Where ``runs``, ``summary``, ``comparisons``, ``costs``, ``quality``, ``verdict`` and ``report`` go,
            the tables of `hypermix.steps.analysis`, and the figures and tables that
            `hypermix.report.outputs.file_outputs` names.
        notices: What a reader of the report must know first, such as what is missing; a sentence each.

    Raises:
        ArtefactError: If a file was made with other settings than the config's.
    """
    given = json.loads(slice_json)
    study = _open(load_config(given["config"]), inputs)
    found = _find(study, inputs)
    _write_tables(found, study.evidence, inputs, outputs, given)
    data = _show(study, found, inputs, given["config"], notices)
    gallery = Gallery(data)
    write_text(outputs["report"], render(data, gallery))
    write_files(gallery, outputs)


@dataclass(frozen=True)
class _Study:
    """What the files of an experiment say.

    Attributes:
        config: The config that they were made with.
        evidence: What each says of its making; the job that writes metrics writes what lies beside them, from one
            training.
        runs: The table ``runs``.
        fates: What became of each synthetic row.
        receipts: The receipts of all augmentations.
        profile: The table ``profile`` of all datasets.
        quality: The table ``all_quality``.
    """

    config: Config
    evidence: Evidence
    runs: pd.DataFrame
    fates: pd.DataFrame
    receipts: pd.DataFrame
    profile: pd.DataFrame
    quality: pd.DataFrame


@dataclass(frozen=True)
class _Found:
    """What follows from them.

    Attributes:
        frames: The tables to write, by the names of their outputs.
        paid: One receipt for each answer that was paid.
        seed_costs: What a data seed costs.
        verdict: The verdict.
    """

    frames: Mapping[str, pd.DataFrame]
    paid: pd.DataFrame
    seed_costs: pd.DataFrame
    verdict: Mapping[str, Any]


def _open(config: Config, inputs: Inputs) -> _Study:
    evidence = Evidence()
    study = _Study(
        config,
        evidence,
        runs=_in_order(read_kind(inputs, "metrics", look=evidence), config),
        fates=read_fates(inputs, evidence),
        receipts=read_kind(inputs, "receipt", look=evidence),
        profile=read_kind(inputs, "profile", look=evidence),
        quality=_in_order(read_kind(inputs, "quality", look=evidence), config),
    )
    check_slices(config, evidence.made)
    return study


def _find(study: _Study, inputs: Inputs) -> _Found:
    config, runs = study.config, study.runs
    baselines, bounds = experiment.baselines(config), experiment.bounds(config)
    level, alpha = config.report.level, config.report.alpha
    overlaps = shared_rows(config, study.profile, runs)
    summary = _in_order(summarize(runs, level, overlaps), config)
    comparisons = _in_order(compare(runs, baselines, level, alpha, bounds, overlaps), config)
    paid = join_shared(study.receipts, config)
    costs = seed_costs(paid)
    methods = {name: config.augmenters[name].method for name in baselines}
    asked, told = (frame[~frame["augmenter"].isin(bounds)] for frame in (comparisons, summary))
    verdict = judge(asked, told, baselines, alpha, level, methods, price_seeds(costs))
    further = {name: _in_order(frame, config) for name, frame in analyze(runs, inputs, config, overlaps).items()}
    frames = {"runs": runs, "summary": summary, "comparisons": comparisons, "costs": sum_costs(paid)}
    return _Found({**frames, "quality": study.quality, **further}, paid, costs, verdict)


def _write_tables(
    found: _Found, evidence: Evidence, inputs: Inputs, outputs: Mapping[str, Path], given: Mapping[str, Any]
) -> None:
    described = {
        "hypermix": __version__,
        "inputs": {artefact_name(path): evidence.digests[path] for kind in _CHECKED for path in inputs[kind]},
        "slices": {"aggregate": given},
    }
    for name, frame in found.frames.items():
        write_table(outputs[name], tables.from_columns(_SCHEMAS.get(name, name), frame), described)
    verdict = json.dumps(found.verdict, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(outputs["verdict"], verdict + "\n")


def _show(study: _Study, found: _Found, inputs: Inputs, given: Mapping[str, Any], notices: Sequence[str]) -> ReportData:
    config, provenance, fates = study.config, study.evidence.made, study.fates
    baselines = experiment.baselines(config)
    shown = {**found.frames, "quality": summarize_quality(study.quality, config.report.level)}
    return ReportData(
        **shown,
        spending=sum_spending(found.paid, config),
        verdict=found.verdict,
        synthetic=sample_rows(inputs, fates, config.report.rows, last=[*baselines, *experiment.bounds(config)]),
        rejected=count_rejected(fates, config),
        n_synthetic_total=len(fates),
        labels=list_labels(provenance),
        baselines=baselines,
        config_yaml=yaml.safe_dump(given, sort_keys=False, allow_unicode=True),
        versions=_versions(),
        seeds={"data seeds": experiment.data_seeds(config), "trials": experiment.trial_seeds(config)},
        commands=["snakemake --cores all --replace-workflow-config --configfile experiment.yaml"],
        profile=study.profile,
        words=list_words(config, provenance),
        repeaters=[name for name, one in config.augmenters.items() if one.method in _REPEATERS],
        warnings={str(made["keys"]["dataset"]): made["warnings"] for made in provenance.values() if "warnings" in made},
        notices=[*notices, *tell_notices(config, provenance, inputs["metrics"], study.receipts)],
        bounds=experiment.bounds(config),
        curves=_in_order(learning_curves(read_histories(inputs)), config),
        seed_costs=found.seed_costs,
    )


def _in_order(frame: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Put baselines before what is compared with them, and the sizes as the config has them."""
    baselines = experiment.baselines(config)
    augmenters = [*baselines, *(name for name in config.augmenters if name not in baselines)]
    ranks = {"subsample": config.subsample.train, "augmenter": augmenters}
    sorting = [key for key in ("dataset", "subsample", "classifier", "augmenter") if key in frame]

    def rank(column: pd.Series) -> pd.Series:
        return column.map(ranks[str(column.name)].index) if column.name in ranks else column

    return frame.sort_values(sorting, key=rank, kind="stable").reset_index(drop=True)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("hypermix", *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
