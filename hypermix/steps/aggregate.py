"""aggregate: the tables of an experiment, its verdict and its report."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
import yaml

from hypermix import __version__, tables
from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.files import write_table, write_text
from hypermix.hashing import file_digest
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
from hypermix.steps.notice import tell_notices
from hypermix.steps.provenance import artefact_name, read_all
from hypermix.steps.rejected import count_rejected
from hypermix.steps.shown import read_fates, sample_rows
from hypermix.steps.stale import check_slices
from hypermix.steps.words import list_labels, list_words

_KINDS = ("metrics", "synthetic", "quality", "receipt", "profile", "confusion", "calibration")
_REPEATERS = ("duplicate", "shuffle")
"""The methods whose texts are the real rows."""

_PACKAGES = ("torch", "transformers", "openai", "xllamacpp", "snakemake", "pandas", "pyarrow", "scipy")


def run(slice_json: str, inputs: Mapping[str, Sequence[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the tables, the verdict and the report of an experiment.

    Args:
        slice_json: The slice of `aggregate`: the whole config but for what changes no result.
        inputs: The files of each kind: ``metrics``, ``confusion``, ``calibration``, ``synthetic``, ``quality``,
            ``receipt``, ``profile``, ``history``.
        outputs: Where ``runs``, ``summary``, ``comparisons``, ``costs``, ``quality``, ``verdict`` and ``report`` go,
            the tables of `hypermix.steps.analysis`, and the figures and tables that
            `hypermix.report.outputs.file_outputs` names.

    Raises:
        ArtefactError: If a file was made with other settings than the config's.
    """
    config = load_config(json.loads(slice_json)["config"])
    provenance = read_all(path for kind in _KINDS for path in inputs[kind])
    check_slices(config, provenance)
    baselines, level = experiment.baselines(config), config.report.level
    runs = _in_order(tables.read(inputs["metrics"], "metrics"), config)
    profile = tables.read(inputs["profile"], "profile")
    overlaps = shared_rows(config, profile, runs)
    summary = _in_order(summarize(runs, level, overlaps), config)
    bounds = experiment.bounds(config)
    comparisons = _in_order(compare(runs, baselines, level, config.report.alpha, bounds, overlaps), config)
    further = {name: _in_order(frame, config) for name, frame in analyze(runs, inputs, config, overlaps).items()}
    methods = {name: config.augmenters[name].method for name in baselines}
    asked, told = (frame[~frame["augmenter"].isin(bounds)] for frame in (comparisons, summary))
    receipts = tables.read(inputs["receipt"], "receipt")
    paid = join_shared(receipts, config)
    priced = seed_costs(paid)
    verdict = judge(asked, told, baselines, config.report.alpha, level, methods, price_seeds(priced))
    frames = {"runs": runs, "summary": summary, "comparisons": comparisons, "costs": sum_costs(paid)}
    described = {
        "hypermix": __version__,
        # Receipts hold times: with their checksums equal experiments would give other bytes.
        "inputs": {
            artefact_name(path): file_digest(path)
            for path in (*inputs["metrics"], *inputs["synthetic"], *inputs["quality"], *inputs["profile"])
        },
        "slices": {"aggregate": json.loads(slice_json)},
    }
    for name, frame in frames.items():
        write_table(outputs[name], tables.from_columns(name, frame), described)
    for name, frame in further.items():
        write_table(outputs[name], tables.from_columns(TABLES[name], frame), described)
    quality = _in_order(tables.read(inputs["quality"], "quality"), config)
    write_table(outputs["quality"], tables.from_columns("all_quality", quality), described)
    write_text(outputs["verdict"], json.dumps(verdict, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    fates = read_fates(inputs["synthetic"])
    data = ReportData(
        **frames,
        **further,
        spending=sum_spending(paid, config),
        verdict=verdict,
        synthetic=sample_rows(inputs["synthetic"], config.report.rows, last=baselines),
        rejected=count_rejected(fates, config),
        n_synthetic_total=len(fates),
        labels=list_labels(provenance),
        baselines=baselines,
        config_yaml=yaml.safe_dump(json.loads(slice_json)["config"], sort_keys=False, allow_unicode=True),
        versions=_versions(),
        seeds={"data seeds": experiment.data_seeds(config), "trials": experiment.trial_seeds(config)},
        commands=["snakemake --cores all --replace-workflow-config --configfile experiment.yaml"],
        profile=profile,
        words=list_words(config, provenance),
        quality=summarize_quality(quality, level),
        repeaters=[name for name, one in config.augmenters.items() if one.method in _REPEATERS],
        warnings={str(made["keys"]["dataset"]): made["warnings"] for made in provenance.values() if "warnings" in made},
        notices=tell_notices(config, provenance, inputs["metrics"], receipts),
        bounds=bounds,
        curves=_in_order(learning_curves(read_histories(inputs["history"])), config),
        seed_costs=priced,
    )
    gallery = Gallery(data)
    write_text(outputs["report"], render(data, gallery))
    write_files(gallery, outputs)


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
