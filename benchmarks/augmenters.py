"""Measure what a row costs by each method that asks a language model: calls, tokens, and the share of tries used.

    python benchmarks/augmenters.py [--rows 12] [--method paraphrase …] [--configfile mine.yaml …] [--cache cache]

Every method that is registered and needs no more than a language model makes some rows of rt-snippets from the default
experiment's first draw, through the embedded model. With `--configfile` it is the augmenters of a config, and its
datasets and language models. Prints the Markdown table of docs/augmenters.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hypermix.config import experiment
from hypermix.config.load import load_config, merge, variant_models
from hypermix.config.model import Config
from hypermix.config.registry import REGISTRY_PATH, read_registry
from hypermix.errors import ConfigError, HypermixError
from hypermix.files import read_table
from hypermix.steps import augment, prepare, subsample

ROOT = Path(__file__).resolve().parents[1]
LLM = "local"
MORE: dict[str, dict[str, Any]] = {"gpt3mix": {"examples": 8}, "backtranslate": {"by": "llm"}}
"""What a method needs beside the language model, or has in the default experiment."""


@dataclass(frozen=True)
class Measured:
    """What an augmenter made, and what that took."""

    wanted: int
    kept: int
    tries: int
    requests: int
    prompt: int
    completion: int
    seconds: float
    reasons: Counter[str]

    def line(self, name: str) -> str:
        """Return a line of the table; a method that made no row has no price of one."""
        rows = self.kept or 1
        each = [f"{count / rows:.{digits}f}" for count, digits in ((self.requests, 2), (self.prompt, 0))]
        each += [f"{self.completion / rows:.0f}", f"{self.seconds / rows:.1f}"]
        told = "; ".join(f"{reason}: {count}" for reason, count in self.reasons.most_common(3))
        cells = [
            f"`{name}`",
            f"{self.kept} of {self.wanted}",
            *(each if self.kept else ["-"] * 4),
            f"{self.kept / self.tries:.0%}" if self.tries else "-",
            told or "-",
        ]
        return f"| {' | '.join(cells)} |"


def default_variants(base: Mapping[str, Any], multiplier: float) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield an augmenter for each method that asks a language model and has a default for all else."""
    for method, model in variant_models("augmenters").items():
        if "llm" not in model.model_fields:
            continue
        variant = {"method": method, "llm": LLM, "multiplier": multiplier, **MORE.get(method, {})}
        try:
            load_config({**base, "augmenters": {method: variant}})
        except ConfigError as error:
            print(f"{method} is left out: {str(error).splitlines()[-1].strip()}")
        else:
            yield method, variant


def draw_rows(config: Config, folder: Path, cache: Path) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """Prepare the dataset and draw the first subsample; return both and the key of the draw."""
    run = experiment.runs(config)[0]
    key = {name: str(run[name]) for name in ("dataset", "subsample", "data_seed", "trial")}
    whole = {name: folder / f"{name}.parquet" for name in ("train", "validation", "test", "groups")}
    outputs = {**whole, "profile": folder / "profile.parquet"}
    prepare.run(key["dataset"], experiment.prepare_slice(config, key["dataset"]), cache, outputs)
    drawn = {name: folder / "drawn" / f"{name}.parquet" for name in ("train", "validation", "test")}
    draw = {name: key[name] for name in ("dataset", "subsample", "data_seed")}
    subsample.run(draw, experiment.subsample_slice(config), whole, drawn)
    return whole, drawn, key


def measure(
    config: Config,
    name: str,
    folder: Path,
    cache: Path,
    rows: tuple[dict[str, Path], dict[str, Path], dict[str, str]],
) -> Measured:
    """Make the rows of one augmenter; stored answers count as those that are paid."""
    whole, drawn, key = rows
    slice_json = experiment.augment_slice(config, key["dataset"], name)
    inputs = {"train": drawn["train"]}
    parts = {"prepare": whole, "subsample": drawn}
    reads = experiment.augment_reads(config, key["dataset"], name)
    inputs |= {what: parts[stage][split] for what, (stage, split) in reads.items()}
    outputs = {what: folder / name / f"{what}.parquet" for what in ("synthetic", "receipt")}
    runtime = {**experiment.augment_runtime(config, name, 1), "cache": str(cache), "results": str(folder)}
    started = time.perf_counter()
    augment.run({**key, "augmenter": name}, slice_json, inputs, runtime, outputs)
    made, receipt = read_table(outputs["synthetic"], "synthetic"), read_table(outputs["receipt"], "receipt").iloc[0]
    return Measured(
        wanted=int(receipt["rows_wanted"]),
        kept=int(receipt["rows_kept"]),
        tries=len(made),
        requests=int(receipt["requests_paid"] + receipt["requests_replayed"]),
        prompt=int(receipt["prompt_tokens"]),
        completion=int(receipt["completion_tokens"]),
        seconds=time.perf_counter() - started,
        reasons=Counter(made["reason"].dropna()),
    )


def read_base(files: list[str]) -> dict[str, Any]:
    """Read config files, laid over each other."""
    raw: dict[str, Any] = {}
    for file in files:
        raw = merge(raw, yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    return raw


def main() -> None:
    """Measure all methods in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--method", nargs="*", help="only these augmenters")
    parser.add_argument("--configfile", nargs="*", help="the augmenters of these, instead of one a method")
    parser.add_argument("--cache", type=Path, default=ROOT / "cache")
    given = parser.parse_args()
    raw = read_base(given.configfile or [str(ROOT / "config" / "config.yaml")])
    raw.pop("only", None), raw.pop("except", None)
    registry = read_registry(ROOT / REGISTRY_PATH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw["augmenters"] = {"none": {"method": "none"}, **(raw["augmenters"] if given.configfile else {})}
        rows = draw_rows(load_config(raw, registry), folder, given.cache)
        if not given.configfile:
            n_drawn = len(read_table(rows[1]["train"], "train"))
            raw["augmenters"] |= default_variants(raw, given.rows / n_drawn)
        config = load_config(raw, registry)
        asking = [name for name, one in config.augmenters.items() if getattr(one, "llm", None)]
        print("| method | rows | calls a row | prompt tokens | written tokens | seconds | tries used | not used |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for augmenter in given.method or asking:
            try:
                print(measure(config, augmenter, folder, given.cache, rows).line(augmenter), flush=True)
            except HypermixError as error:
                print(f"| `{augmenter}` | none: {error} |", flush=True)


if __name__ == "__main__":
    main()
