"""aggregate: the tables of an experiment, its verdict and its report."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hypermix import __version__, tables
from hypermix.augment.relabel import name_scored
from hypermix.augment.verbalizer import find_problems, words_from_json
from hypermix.config import experiment
from hypermix.config.llm import HOSTED_APIS
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, write_table, write_text
from hypermix.hashing import file_digest
from hypermix.report.cost import SPENDING
from hypermix.report.page import ReportData, render
from hypermix.stats.quality import summarize_quality
from hypermix.stats.summarize import compare, summarize
from hypermix.stats.verdict import judge
from hypermix.steps.provenance import artefact_name
from hypermix.steps.rejected import count_rejected
from hypermix.steps.unlike import unlike_runs

_KINDS = ("metrics", "synthetic", "quality", "receipt", "profile")
_REPEATERS = ("duplicate", "shuffle")
"""The methods whose texts are the real rows."""

_SHOWN_STALE = 3
_ASKED = ["augmenter", "llm"]
_DRAW = ["dataset", "subsample", "data_seed", "augmenter"]
_PACKAGES = ("torch", "transformers", "openai", "xllamacpp", "snakemake", "pandas", "pyarrow", "scipy")


def run(slice_json: str, inputs: Mapping[str, Sequence[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the tables, the verdict and the report of an experiment.

    Args:
        slice_json: The slice of `aggregate`: the whole config but for what changes no result.
        inputs: The files of each kind: ``metrics``, ``synthetic``, ``quality``, ``receipt``, ``profile``.
        outputs: Where ``runs``, ``summary``, ``comparisons``, ``costs``, ``quality``, ``verdict`` and ``report`` go.

    Raises:
        ArtefactError: If a file was made with other settings than the config's.
    """
    config = load_config(json.loads(slice_json)["config"])
    provenance = {path: read_provenance(path) for kind in _KINDS for path in inputs[kind]}
    _check_slices(config, provenance)
    baselines, level = experiment.baselines(config), config.report.level
    runs = _in_order(tables.read(inputs["metrics"], "metrics"), config)
    summary = _in_order(summarize(runs, level), config)
    bounds = experiment.bounds(config)
    comparisons = _in_order(compare(runs, baselines, level, config.report.alpha, bounds), config)
    methods = {name: config.augmenters[name].method for name in baselines}
    asked, told = (frame[~frame["augmenter"].isin(bounds)] for frame in (comparisons, summary))
    verdict = judge(asked, told, baselines, config.report.alpha, level, methods)
    receipts = tables.read(inputs["receipt"], "receipt")
    paid = _join_shared(receipts[receipts["llm"].notna()], config)
    frames = {"runs": runs, "summary": summary, "comparisons": comparisons, "costs": _costs(paid)}
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
    quality = _in_order(tables.read(inputs["quality"], "quality"), config)
    write_table(outputs["quality"], tables.from_columns("all_quality", quality), described)
    write_text(outputs["verdict"], json.dumps(verdict, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    rows = tables.read(inputs["synthetic"], "synthetic")
    # Copies of real rows say little: what the others wrote comes first.
    rows = rows.sort_values("augmenter", key=lambda names: names.isin(baselines), kind="stable")
    data = ReportData(
        **frames,
        spending=_spending(paid, config),
        verdict=verdict,
        synthetic=_sample(rows, config.report.rows),
        rejected=count_rejected(rows, config),
        n_synthetic_total=len(rows),
        labels=_labels(provenance),
        baselines=baselines,
        config_yaml=yaml.safe_dump(json.loads(slice_json)["config"], sort_keys=False, allow_unicode=True),
        versions=_versions(),
        seeds={"data seeds": experiment.data_seeds(config), "trials": experiment.trial_seeds(config)},
        commands=["snakemake --cores all --replace-workflow-config --configfile experiment.yaml"],
        profile=tables.read(inputs["profile"], "profile"),
        words=_label_words(config, provenance),
        quality=summarize_quality(quality, level),
        repeaters=[name for name, one in config.augmenters.items() if one.method in _REPEATERS],
        warnings={str(made["keys"]["dataset"]): made["warnings"] for made in provenance.values() if "warnings" in made},
        notices=[
            *_overlapping_tests(config),
            *_short_classes(provenance),
            *_shortfalls(receipts),
            *_word_problems(provenance),
            *unlike_runs(provenance[path] for path in inputs["metrics"]),
        ],
    )
    write_text(outputs["report"], render(data))


def _check_slices(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse what was made with other settings, which Snakemake cannot see once its own records are lost."""
    stale = [f"{path} ({stage})" for path, made in provenance.items() for stage in _other_stages(config, path, made)]
    if stale:
        more = f" and {len(stale) - _SHOWN_STALE} more" if len(stale) > _SHOWN_STALE else ""
        raise ArtefactError(
            f"made with other settings than the config's: {', '.join(stale[:_SHOWN_STALE])}{more}; delete these files, "
            "or run snakemake with --forcerun and the stage in brackets; stored answers are not paid again"
        )


def _other_stages(config: Config, path: Path, made: Mapping[str, Any]) -> list[str]:
    keys = {name: str(value) for name, value in tables.path_keys(path).items()}
    wanted = {"prepare": experiment.prepare_slice(config, keys["dataset"])}
    if "augmenter" in keys:
        wanted["subsample"] = experiment.subsample_slice(config)
        wanted["augment"] = experiment.augment_slice(config, keys["dataset"], keys["augmenter"])
    if path.stem == "quality":
        wanted["quality"] = experiment.quality_slice(config)
    if "classifier" in keys:
        wanted["train"] = experiment.train_slice(config, keys["classifier"])
        wanted["evaluate"] = experiment.evaluate_slice()
        match = experiment.matched(config, keys["classifier"])
        if match is not None:
            wanted["match"] = experiment.augment_slice(config, keys["dataset"], match)
    return [stage for stage, slice_json in wanted.items() if made["slices"].get(stage) != json.loads(slice_json)]


def _in_order(frame: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Put baselines before what is compared with them, and the sizes as the config has them."""
    baselines = experiment.baselines(config)
    augmenters = [*baselines, *(name for name in config.augmenters if name not in baselines)]
    ranks = {"subsample": config.subsample.train, "augmenter": augmenters}
    sorting = [key for key in ("dataset", "subsample", "classifier", "augmenter") if key in frame]

    def rank(column: pd.Series) -> pd.Series:
        return column.map(ranks[str(column.name)].index) if column.name in ranks else column

    return frame.sort_values(sorting, key=rank, kind="stable").reset_index(drop=True)


def _costs(asked: pd.DataFrame) -> pd.DataFrame:
    counts = [name for name in tables.schema("costs").names if name in asked and name not in _ASKED]
    sums = _sum(asked, [*counts, "rows_kept"])
    per_row = sums["usd"] / sums["rows_kept"].where(sums["rows_kept"] > 0)
    return sums.assign(usd_per_kept_row=per_row).loc[:, list(tables.schema("costs").names)]


def _spending(asked: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Sum what receipts tell beside the table ``costs``."""
    sums = _sum(asked, ["usd_paid", "requests_discarded"])
    return sums.assign(here=[config.llms[name].api not in HOSTED_APIS for name in sums["llm"]]).loc[:, list(SPENDING)]


def _sum(asked: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Add receipts up by augmenter and language model. A sum with an unknown price is unknown."""
    columns = [*_ASKED, *names]
    groups = [
        {**dict(zip(_ASKED, key, strict=True)), **group[list(names)].sum(skipna=False)}
        for key, group in asked.groupby(_ASKED, sort=True)
    ]
    return pd.DataFrame(groups, columns=columns)


def _join_shared(receipts: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Make one receipt of those of trials that share a draw, since the same answers are behind them."""
    shared = receipts["augmenter"].isin([name for name, one in config.augmenters.items() if one.draw == "data_seed"])
    joined = [_join(group) for _, group in receipts[shared].groupby(_DRAW, sort=False)]
    return pd.concat([receipts[~shared], *joined]) if joined else receipts


def _join(trials: pd.DataFrame) -> pd.DataFrame:
    first, paid = trials.head(1), trials["requests_paid"].sum()
    answers = first["requests_paid"] + first["requests_replayed"]
    return first.assign(
        requests_paid=paid,
        requests_replayed=(answers - paid).clip(lower=0),
        requests_unknown=trials["requests_unknown"].max(),
        usd_paid=trials["usd_paid"].sum(skipna=False),
    )


def _sample(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Take rows at even distances, so that every draw is shown."""
    if len(rows) <= most:
        return rows
    chosen = [position * len(rows) // most for position in range(most)]
    return rows.take(chosen).reset_index(drop=True)


def _labels(provenance: Mapping[Path, Mapping[str, Any]]) -> dict[str, list[str]]:
    return {str(made["keys"]["dataset"]): made["labels"] for made in provenance.values() if "labels" in made}


def _short_classes(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterable[str]:
    told = [
        f"{made['keys']['dataset']}, {split} of {made['keys']['subsample']}: the class {label!r} has {count} of the "
        f"{asked} rows that were asked for; all of them are taken."
        for made in provenance.values()
        for split, classes in made.get("short", {}).items()
        for label, (count, asked) in classes.items()
    ]
    return dict.fromkeys(told)


def _overlapping_tests(config: Config) -> Iterable[str]:
    for name, dataset in config.datasets.items():
        if getattr(dataset, "split", "fixed") == "repeated":
            yield (
                f"{name}: train, validation and test are drawn anew for each data seed, so the test sets of two seeds "
                "share rows; intervals and p values take seeds for independent and are narrower than they should be."
            )


def _shortfalls(receipts: pd.DataFrame) -> Iterable[str]:
    short = receipts[receipts["rows_kept"] < receipts["rows_wanted"]]
    for (dataset, augmenter), draws in short.groupby(["dataset", "augmenter"], sort=True):
        missing = int((draws["rows_wanted"] - draws["rows_kept"]).sum())
        yield (
            f"{dataset}, {augmenter}: {missing} of {int(draws['rows_wanted'].sum())} rows are missing in {len(draws)} "
            "draws, since no row that can be used came in the tries allowed."
        )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("hypermix", *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _word_problems(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterable[str]:
    told = [
        f"{dataset}, {llm}: {problem}."
        for dataset, llm, made in _asked(provenance)
        if (source := name_scored(made["slices"]["augment"]["augmenter"])) is not None
        for problem in find_problems(words_from_json(made["words"]), source)
    ]
    return dict.fromkeys(told)


def _label_words(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List label, word and tokens by dataset and language model; without one, the words of the config."""
    found: dict[tuple[str, str | None], Any] = {
        (dataset, llm): made["words"] for dataset, llm, made in _asked(provenance)
    }
    known = {dataset for dataset, _ in found}
    for dataset, labels in _labels(provenance).items():
        if dataset not in known:
            words = config.datasets[dataset].label_words
            found[dataset, None] = [[label, words.get(label, label), None] for label in labels]
    return [{"dataset": dataset, "llm": llm, "rows": rows} for (dataset, llm), rows in found.items()]


def _asked(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Yield dataset, language model and provenance of each file whose label words are known."""
    for made in provenance.values():
        if made.get("words"):
            yield str(made["keys"]["dataset"]), str(made["slices"]["augment"]["llm"]["name"]), made
