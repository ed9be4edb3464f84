"""An experiment without a language model, and the export of its best variant, as the workflow runs them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.steps import choose, export, train
from tests.integration.steps.chain import RUN, Chain, Key, toy_settings, words
from tests.tiny import save_tiny_bert


@dataclass(frozen=True)
class Export:
    """The export of an experiment that has run."""

    chain: Chain

    @property
    def choice(self) -> Path:
        return self.chain.results / "choose" / "choice.json"

    @property
    def key(self) -> Key:
        found: Key = json.loads(self.choice.read_text(encoding="utf-8"))
        return found

    @property
    def folder(self) -> Path:
        return self.chain.results / "export"

    @property
    def model(self) -> Path:
        return self.chain.path("train", RUN, self.key, "model").with_suffix("")

    def choose(self) -> dict[str, Any]:
        made = self.chain.aggregated()
        inputs = {name: made[name] for name in ("runs", "summary", "comparisons")}
        choose.run(experiment.choose_slice(self.chain.config), inputs, self.choice)
        return self.key

    def fit(self) -> None:
        chain, key = self.chain, self.key
        chain.subsample(key)
        chain.augment(key)
        self.train()

    def train(self) -> None:
        chain, key = self.chain, self.key
        inputs = {**chain.drawn(key), "synthetic": chain.augmented(key)["synthetic"]}
        slice_json = experiment.fit_slice(chain.config, key["classifier"])
        train.run(words(key, RUN), slice_json, inputs, {**chain.trained(key), "model": self.model})
        chain.evaluate(key)

    def inputs(self) -> dict[str, Path]:
        chain, key = self.chain, self.key
        drawn, made = chain.drawn(key), chain.aggregated()
        return {
            "choice": self.choice,
            "train": drawn["train"],
            "validation": drawn["validation"],
            **chain.augmented(key),
            "predictions": chain.trained(key)["predictions"],
            "metrics": chain.metrics(key),
            "model": self.model,
            **{name: made[name] for name in ("runs", "summary", "verdict")},
        }

    def export(self, data_license: str | None = None) -> str:
        export.run(experiment.export_slice(self.chain.config, data_license), self.inputs(), self.folder)
        return (self.folder / "README.md").read_text(encoding="utf-8")


def run_study(folder: Path, **overlay: Any) -> Export:
    """Run an experiment of two data seeds with `none` and `duplicate`, up to its report."""
    settings = toy_settings(save_tiny_bert(folder / "private" / "bert"), folder / "no.gguf", folder)
    settings = {**settings, "llms": {}, "except": []}
    settings["augmenters"] = {name: settings["augmenters"][name] for name in ("none", "duplicate")}
    chain = Chain(folder / "results", folder / "cache", merge(settings, overlay))
    chain.prepare()
    for key in chain.runs:
        chain.up_to_train(key)
        chain.evaluate(key)
    chain.aggregate()
    return Export(chain)
