"""What a config asks for: its seeds, its runs, and the slice of the settings that each rule may see."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hypermix.config.augmenter import Sifted, asked_llm
from hypermix.config.augmenter_llm import Custom, Template
from hypermix.config.check import BOUNDS, EXPORTED
from hypermix.config.encoder import CustomClassifier
from hypermix.config.model import Config, SeedPlan
from hypermix.config.template import read_template
from hypermix.errors import ConfigError
from hypermix.hashing import canonical_json
from hypermix.names import KEY_NAMES
from hypermix.plugins import plugin_version
from hypermix.seeding import spawn_seeds

METHOD_VERSIONS: dict[str, int] = {
    "prepare": 2,
    "subsample": 1,
    "augment": 5,
    "quality": 2,
    "train": 2,
    "evaluate": 1,
    "aggregate": 3,
    "choose": 1,
    "fit": 1,
    "export": 2,
}
"""Raised when a stage gives other results for the same inputs.

tests/integration/steps/test_golden.py pins prepare, subsample, augment, quality and evaluate; sums of a training differ
by machine.
"""

Key = dict[str, str | int]

_AUGMENTATION = ("dataset", "subsample", "data_seed", "augmenter", "trial")
"""The keys of an augmentation."""
WHOLE = "all"
"""The subsample of an exported model: all rows of train and of validation. No experiment may name it."""

_NO_REPORT = ("runtime", "choose", "export")
"""The stages whose settings change nothing that `aggregate` tells."""


def data_seeds(config: Config) -> list[int]:
    """Return the data seeds of an experiment."""
    return _seeds(config.seeds.data)


def trial_seeds(config: Config) -> list[int]:
    """Return the trial seeds of an experiment."""
    return _seeds(config.seeds.trials)


def _seeds(plan: SeedPlan | list[int]) -> list[int]:
    return spawn_seeds(plan.master, plan.count) if isinstance(plan, SeedPlan) else list(plan)


def runs(config: Config) -> list[Key]:
    """List the runs of an experiment.

    Returns:
        One key a run, with the partition keys of `hypermix.names.KEY_NAMES`, in the order of the config.

    Raises:
        ConfigError: If `only` and `except` leave none, an entry of theirs matches none, seeds cannot be paired, or a
            classifier is matched with an augmenter that makes no rows for one of its runs.
    """
    seeds = _seed_pairs(config)
    product = itertools.product(config.datasets, config.subsample.train, config.classifiers, config.augmenters, seeds)
    keys: list[Key] = [
        dict(zip(KEY_NAMES, (dataset, size, seed, augmenter, classifier, trial), strict=True))
        for dataset, size, classifier, augmenter, (seed, trial) in product
    ]
    for where, partials in (("only", config.only), ("except", config.except_)):
        for position, partial in enumerate(partials):
            if not any(_matches(key, partial) for key in keys):
                raise ConfigError(f"{where}[{position}]: {partial} matches none of {len(keys)} runs; mend or remove it")
    chosen = [key for key in keys if not config.only or any(_matches(key, part) for part in config.only)]
    kept = [key for key in chosen if not any(_matches(key, part) for part in config.except_)]
    if not kept:
        raise ConfigError(f"only and except leave none of {len(keys)} runs; take an entry of them away")
    _check_matches(config, kept)
    return kept


def matched(config: Config, classifier: str) -> str | None:
    """Return the augmenter whose rows a classifier counts its steps by; None if it counts those of each run."""
    match: str | None = getattr(config.classifiers[classifier], "match", None)
    return match


def _check_matches(config: Config, keys: list[Key]) -> None:
    """Refuse a match whose rows no run makes: they would be made, and paid, for their number alone."""
    made = {tuple(key[name] for name in _AUGMENTATION) for key in keys}
    for key in keys:
        match = matched(config, str(key["classifier"]))
        wanted = {**key, "augmenter": match}
        if match is not None and tuple(wanted[name] for name in _AUGMENTATION) not in made:
            where = ", ".join(f"{name} {wanted[name]}" for name in _AUGMENTATION if name != "augmenter")
            raise ConfigError(
                f"classifiers.{key['classifier']}.match: only and except leave no run of the augmenter {match!r} for "
                f"{where}; leave one in, or match another augmenter"
            )


def _seed_pairs(config: Config) -> list[tuple[int, int]]:
    data, trials = data_seeds(config), trial_seeds(config)
    if config.seeds.design == "crossed":
        return list(itertools.product(data, trials))
    if len(data) > len(trials):
        raise ConfigError(
            f"seeds.design: paired takes a trial for each data seed, and there are {len(data)} data seeds and "
            f"{len(trials)} trials; raise seeds.trials or set seeds.design: crossed"
        )
    # The reference reuses its data seeds in turn when there are fewer of them than trials.
    return [(data[position % len(data)], trial) for position, trial in enumerate(trials)]


def _matches(key: Mapping[str, Any], partial: Mapping[str, Any]) -> bool:
    return all(str(key[name]) == str(value) for name, value in partial.items())


def baselines(config: Config) -> list[str]:
    """Return the names of the augmenters that the others are compared with, `none` before `duplicate`."""
    if config.report.baselines is not None:
        return list(config.report.baselines)
    methods = {name: augmenter.method for name, augmenter in config.augmenters.items()}
    return [name for wanted in ("none", "duplicate") for name, method in methods.items() if method == wanted]


def bounds(config: Config) -> list[str]:
    """Return the names of the augmenters that show what can be gained or lost at most."""
    return [name for name, augmenter in config.augmenters.items() if augmenter.method in BOUNDS]


def prepare_slice(config: Config, dataset: str) -> str:
    """Return what `prepare` may see of the config, as canonical JSON."""
    return _slice("prepare", dataset=_of_stage(config.datasets[dataset], "prepare"))


def subsample_slice(config: Config) -> str:
    """Return what `subsample` may see of the config, as canonical JSON."""
    return _slice("subsample", sizes=_of_stage(config.subsample, "subsample"))


def augment_slice(config: Config, dataset: str, augmenter: str) -> str:
    """Return what `augment` may see of the config, as canonical JSON.

    The words of a prompt and the language model are in it for the augmenters that use them alone. The text of a
    template stands in it in place of the name of its file, and for an augmenter of a package the package's version.

    Raises:
        ConfigError: If a template cannot be read.
        AugmentError: If an augmenter's package is not installed.
    """
    chosen = config.augmenters[augmenter]
    parts: dict[str, Any] = {"augmenter": _of_stage(chosen, "augment")}
    if isinstance(chosen, Template):
        parts["augmenter"]["template"] = read_template(chosen.template)
    if isinstance(chosen, Custom):
        parts["package"] = plugin_version(chosen.name)
    llm = asked_llm(chosen)
    if llm is not None:
        parts["task"] = _of_stage(config.datasets[dataset], "augment")
        parts["llm"] = {"name": llm, **_of_stage(config.llms[llm], "augment")}
    return _slice("augment", **parts)


def augment_reads(config: Config, dataset: str, augmenter: str) -> dict[str, tuple[str, str]]:
    """Return what `augment` reads beside the subsampled train rows.

    Returns:
        The stage and the split, by what they are for: ``further`` real rows, ``tested``, the rows that no row may be a
        copy of, and ``held`` for validation. Where splits are drawn anew for each data seed, the last two are those of
        the draw, and further rows must be told apart from them: all rows of the dataset are train rows of `prepare`.
    """
    chosen, reads = config.augmenters[augmenter], {}
    repeated = getattr(config.datasets[dataset], "split", "fixed") == "repeated"
    if chosen.method == "real":
        reads["further"] = ("prepare", "train")
        if repeated:
            reads |= {"tested": ("subsample", "test"), "held": ("subsample", "validation")}
    if isinstance(chosen, Sifted) and chosen.filters.leaks != "keep":
        reads["tested"] = ("subsample" if repeated else "prepare", "test")
    return reads


def augment_runtime(config: Config, augmenter: str, threads: int) -> dict[str, Any]:
    """Return what an augmentation must know and no result depends on.

    Args:
        config: The config.
        augmenter: The name of the augmenter.
        threads: Threads of the job.

    Returns:
        Plain JSON values: ``cache``, ``results``, ``threads``, ``offline``, ``budget`` with ``usd``, ``requests`` and
        ``tokens``, and ``llm``, the settings of the stage `runtime` of the language model that is asked: for a hosted
        one ``key`` (its place, never the key itself), ``limits``, ``price`` and for a batch ``poll``; none for a model
        that runs here. ``llm`` is None where none is asked.
    """
    llm = asked_llm(config.augmenters[augmenter])
    return {
        "cache": config.cache,
        "results": config.results,
        "threads": threads,
        "offline": config.offline,
        "budget": _of_stage(config.budget, "runtime"),
        "llm": None if llm is None else _of_stage(config.llms[llm], "runtime"),
    }


def quality_slice(config: Config) -> str:
    """Return what `quality` may see of the config, as canonical JSON."""
    return _slice("quality", quality=_of_stage(config.quality, "quality"))


def quality_runtime(config: Config, threads: int) -> dict[str, Any]:
    """Return what `quality` must know and no result depends on: ``threads`` and ``offline``, as plain JSON values."""
    return {"threads": threads, "offline": config.offline}


def train_slice(config: Config, classifier: str) -> str:
    """Return what `train` may see of the config, as canonical JSON; of a package's classifier its version too.

    Raises:
        TrainError: If a classifier's package is not installed.
    """
    chosen = config.classifiers[classifier]
    parts: dict[str, Any] = {"classifier": _of_stage(chosen, "train"), "threads": _of_stage(config.threads, "train")}
    if isinstance(chosen, CustomClassifier):
        parts["package"] = plugin_version(chosen.name, "classifier")
    return _slice("train", **parts)


def train_runtime(config: Config) -> dict[str, Any]:
    """Return what a training must know and no result depends on: ``offline``, as plain JSON values."""
    return {"offline": config.offline}


def evaluate_slice() -> str:
    """Return what `evaluate` may see of the config, as canonical JSON: its method version alone."""
    return _slice("evaluate")


def aggregate_slice(config: Config) -> str:
    """Return what `aggregate` may see of the config, as canonical JSON: all that changes a result.

    Lists whose order means nothing are sorted: `only`, `except`, and seeds that are crossed.
    """
    parts = _of_results(config)
    for name in ("only", "except"):
        parts[name].sort(key=canonical_json)
    for name, seeds in parts["seeds"].items():
        if isinstance(seeds, list) and config.seeds.design == "crossed":
            parts["seeds"][name] = sorted(seeds)
    return _slice("aggregate", config=parts)


def choose_slice(config: Config) -> str:
    """Return what `choose` may see of the config, as canonical JSON; the rest stands in the tables that it reads."""
    return _slice("choose", export=_of_stage(config.export, "choose"))


def fit_slice(config: Config, classifier: str) -> str:
    """Return what `fit` may see of the config, as canonical JSON: what `train` may, since the method is the same.

    A match is left out: nothing is compared with an exported model.
    """
    parts = json.loads(train_slice(config, classifier))
    if "match" in parts["classifier"]:
        parts["classifier"]["match"] = None
    return _slice("fit", train_version=parts.pop("method_version"), **parts)


def export_slice(config: Config, data_license: str | None) -> str:
    """Return what `export` may see of the config, as canonical JSON.

    Args:
        config: The config.
        data_license: The license of the dataset; None if it is not known.
    """
    return _slice("export", export=_of_stage(config.export, "export"), data_license=data_license)


def export_dataset(config: Config) -> str:
    """Return the dataset of the exported model.

    Raises:
        ConfigError: If there are several and the config names none.
    """
    if config.export.dataset is None and len(config.datasets) > 1:
        raise ConfigError(
            f"export.dataset: must be given, since the experiment has {len(config.datasets)} datasets; wanted is one "
            f"of {', '.join(config.datasets)}"
        )
    return config.export.dataset or next(iter(config.datasets))


def exported_classifiers(config: Config) -> list[str]:
    """Return the classifiers whose model can be exported.

    Raises:
        ConfigError: If there is none.
    """
    kept = [name for name, classifier in config.classifiers.items() if classifier.method in EXPORTED]
    if not kept:
        raise ConfigError(f"classifiers: none can be exported; wanted is one of method {' or '.join(EXPORTED)}")
    return kept


def check_export(config: Config) -> None:
    """Refuse an export of which it is known beforehand that no run will tell the best variant.

    Raises:
        ConfigError: If several datasets and none is named, no classifier can be exported, or no run has what is named.
    """
    named = {"augmenter": config.export.augmenter, "classifier": config.export.classifier}
    given = {"dataset": export_dataset(config), **{part: name for part, name in named.items() if name is not None}}
    kept = exported_classifiers(config)
    if None not in named.values():  # nothing is chosen
        return
    if not any(key["classifier"] in kept and _matches(key, given) for key in runs(config)):
        told = ", ".join(f"the {part} {name!r}" for part, name in given.items())
        raise ConfigError(
            f"export: only and except leave no run with {told} whose classifier can be exported, so that nothing will "
            "tell the best variant; leave one in, or name export.augmenter and export.classifier"
        )


def whole_draw(config: Config) -> Key:
    """Return the draw of all rows that an exported model is trained on, with the first seeds of the experiment."""
    data_seed, trial = _seed_pairs(config)[0]
    return {"dataset": export_dataset(config), "subsample": WHOLE, "data_seed": data_seed, "trial": trial}


def _slice(stage: str, **parts: Any) -> str:
    return canonical_json({"method_version": METHOD_VERSIONS[stage], **parts})


def stage_of(model: type[BaseModel], name: str) -> str | None:
    """Return the stage that a setting belongs to; None for a section."""
    extra = model.model_fields[name].json_schema_extra
    stage = extra.get("stage") if isinstance(extra, dict) else None
    return stage if isinstance(stage, str) else None


def _of_stage(settings: BaseModel, stage: str) -> dict[str, Any]:
    kept = {name for name in type(settings).model_fields if stage_of(type(settings), name) == stage}
    return settings.model_dump(mode="json", include=kept)


def _of_results(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        kept = [name for name in fields if stage_of(type(value), name) not in _NO_REPORT]
        parts = {fields[name].alias or name: _of_results(getattr(value, name)) for name in kept}
        return {name: part for name, part in parts.items() if part != {}}  # a section without any other setting
    if isinstance(value, dict):
        return {name: _of_results(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_of_results(part) for part in value]
    return value
