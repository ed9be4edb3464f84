"""The stages one after the other, as the workflow runs them: the same paths, keys and slices, without Snakemake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.steps import aggregate, augment, evaluate, prepare, quality, subsample, train
from hypermix.steps.artefacts import AGGREGATE_OUTPUTS
from tests.tiny import toy_rows, write_csv
from tests.trained_lm import LONGEST

SPLITS = ("train", "validation", "test")
DRAW = ("dataset", "subsample", "data_seed")
AUGMENTATION = (*DRAW, "augmenter", "trial")
RUN = (*DRAW, "augmenter", "classifier", "trial")
MIX = {"method": "gpt3mix", "llm": "local", "examples": 3, "max_tokens": 40, "temperature": 0.0}

Key = dict[str, Any]


def toy_settings(tiny: Path, model: Path, sources: Path) -> dict[str, Any]:
    """Word an experiment on toy rows: two data seeds, three augmenters, a tiny classifier, a tiny writer."""
    rows = {name: toy_rows(count, seed) for seed, (name, count) in enumerate(zip(SPLITS, (24, 12, 20), strict=True))}
    files = {name: str(write_csv(sources / f"{name}.csv", split)) for name, split in rows.items()}
    return {
        "datasets": {"toy": {"source": "file", **files, "text_type": "movie review", "label_type": "sentiment"}},
        "subsample": {"train": ["2s"], "validation": "4s", "test": None},
        "seeds": {"data": [11, 12], "trials": [7]},
        "llms": {"local": {"api": "embedded", "model": str(model), "context": LONGEST}},
        "augmenters": {"none": {"method": "none"}, "duplicate": {"method": "duplicate"}, "mix": dict(MIX)},
        "classifiers": {
            "tiny": {"method": "finetune", "model": str(tiny), "learning_rate": 5e-3, "batch_size": 4, "max_steps": 12}
        },
        "except": [{"augmenter": "mix", "data_seed": 12}],
    }


@dataclass(frozen=True)
class Chain:
    """An experiment and the folders that it writes to."""

    results: Path
    cache: Path
    raw: dict[str, Any]

    @property
    def config(self) -> Config:
        return load_config(self.raw)

    @property
    def runs(self) -> list[Key]:
        return experiment.runs(self.config)

    def path(self, stage: str, names: Sequence[str], key: Key, table: str) -> Path:
        parts = [f"{name}={key[name]}" for name in names]
        return self.results.joinpath(stage, *parts, f"{table}.parquet")

    def splits(self, stage: str, names: Sequence[str], key: Key) -> dict[str, Path]:
        return {name: self.path(stage, names, key, name) for name in SPLITS}

    def prepared(self, key: Key) -> dict[str, Path]:
        """Return what `subsample` reads."""
        return {name: self.path("prepare", DRAW[:1], key, name) for name in (*SPLITS, "groups")}

    def profile(self, dataset: str = "toy") -> Path:
        return self.path("prepare", DRAW[:1], {"dataset": dataset}, "profile")

    def drawn(self, key: Key) -> dict[str, Path]:
        return self.splits("subsample", DRAW, key)

    def augmented(self, key: Key) -> dict[str, Path]:
        return {
            "synthetic": self.path("augment", AUGMENTATION, key, "synthetic"),
            "receipt": self.path("receipts", AUGMENTATION, key, "receipt"),
        }

    def measured(self, key: Key) -> Path:
        return self.path("quality", AUGMENTATION, key, "quality")

    def trained(self, key: Key) -> dict[str, Path]:
        return {name: self.path("train", RUN, key, name) for name in ("predictions", "history")}

    def metrics(self, key: Key) -> Path:
        return self.path("evaluate", RUN, key, "metrics")

    def scored(self, key: Key) -> dict[str, Path]:
        further = {name: self.path(name, RUN, key, name) for name in ("confusion", "calibration")}
        return {"metrics": self.metrics(key), **further}

    def aggregated(self) -> dict[str, Path]:
        return {name: self.results / "aggregate" / file for name, file in AGGREGATE_OUTPUTS.items()}

    def prepare(self, dataset: str = "toy") -> dict[str, Path]:
        outputs = {**self.prepared({"dataset": dataset}), "profile": self.profile(dataset)}
        prepare.run(dataset, experiment.prepare_slice(self.config, dataset), self.cache, outputs)
        return outputs

    def subsample(self, key: Key) -> dict[str, Path]:
        slice_json = experiment.subsample_slice(self.config)
        subsample.run(words(key, DRAW), slice_json, self.prepared(key), self.drawn(key))
        return self.drawn(key)

    def augment(self, key: Key) -> dict[str, Path]:
        slice_json = experiment.augment_slice(self.config, key["dataset"], key["augmenter"])
        outputs = self.augmented(key)
        found = experiment.augment_runtime(self.config, key["augmenter"], 1)
        runtime = {**found, "cache": str(self.cache), "results": str(self.results)}
        splits = {"prepare": self.prepared(key), "subsample": self.drawn(key)}
        reads = experiment.augment_reads(self.config, key["dataset"], key["augmenter"])
        inputs = {"train": self.drawn(key)["train"]}
        inputs |= {purpose: splits[stage][split] for purpose, (stage, split) in reads.items()}
        augment.run(words(key, AUGMENTATION), slice_json, inputs, runtime, outputs)
        return outputs

    def measure(self, key: Key) -> Path:
        drawn, whole = self.drawn(key), self.prepared(key)
        inputs = {"synthetic": self.augmented(key)["synthetic"], "train": drawn["train"], "test": drawn["test"]}
        inputs |= {f"all_{name}": whole[name] for name in ("train", "test")}
        runtime = experiment.quality_runtime(self.config, 1)
        slice_json = experiment.quality_slice(self.config)
        quality.run(words(key, AUGMENTATION), slice_json, inputs, runtime, self.measured(key))
        return self.measured(key)

    def train(self, key: Key) -> dict[str, Path]:
        inputs = {**self.drawn(key), "synthetic": self.augmented(key)["synthetic"]}
        match = experiment.matched(self.config, key["classifier"])
        if match is not None:
            inputs["matched"] = self.augmented({**key, "augmenter": match})["synthetic"]
        slice_json = experiment.train_slice(self.config, key["classifier"])
        train.run(words(key, RUN), slice_json, inputs, self.trained(key))
        return self.trained(key)

    def evaluate(self, key: Key) -> Path:
        predictions = self.trained(key)["predictions"]
        evaluate.run(words(key, RUN), experiment.evaluate_slice(), predictions, self.scored(key))
        return self.metrics(key)

    def aggregate(self, whole: bool = False) -> dict[str, Path]:
        """Aggregate; the figures' PDFs, which take longer than all the rest, are drawn where all is made."""
        inputs = {
            **{name: [self.scored(key)[name] for key in self.runs] for name in ("metrics", "confusion", "calibration")},
            "synthetic": [self.augmented(key)["synthetic"] for key in self.runs],
            "quality": [self.measured(key) for key in self.runs],
            "receipt": [self.augmented(key)["receipt"] for key in self.runs],
            "profile": [self.profile(dataset) for dataset in self.config.datasets],
            "history": [self.trained(key)["history"] for key in self.runs],
        }
        outputs = {name: path for name, path in self.aggregated().items() if whole or path.suffix != ".pdf"}
        aggregate.run(experiment.aggregate_slice(self.config), inputs, outputs)
        return outputs

    def up_to_train(self, key: Key) -> None:
        """Run what a run needs, but for the splits of its dataset."""
        self.subsample(key)
        self.augment(key)
        self.measure(key)
        self.train(key)

    def key(self, augmenter: str, data_seed: int = 11) -> Key:
        found = [key for key in self.runs if (key["augmenter"], key["data_seed"]) == (augmenter, data_seed)]
        return found[0]


MakeChain = Callable[..., Chain]
"""Makes an experiment, with parts of the config laid over those of a fixture."""


def words(key: Key, names: Sequence[str]) -> dict[str, str]:
    """Return the wildcards of a rule, which are text."""
    return {name: str(key[name]) for name in names}
