"""Compare the accuracy of HyperMix's training with a plain padded loop, on the same rows, over many seeds.

    python benchmarks/train_accuracy.py --data DIR [--datasets sst2 cr trec6] [--seeds 10] [--jobs 2]

The recipe is `hypermix`; 1 % of train (at least one row a label), 100 validation rows, at most 1,000 test rows. DIR
holds a folder a dataset with train.tsv and test.tsv, and validation.tsv if the dataset has one; their columns are text
and label. Both arms start from the same weights and stop by the same rule; the order of rows and dropout are their own.
Prints a Markdown table for docs/benchmarks.md: the mean difference over seeds and its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hypermix.classify.encode import Encoded, encode
from hypermix.classify.finetune import finetune, predict
from hypermix.classify.model import load_classifier, locate_model
from hypermix.classify.recipe import Recipe
from hypermix.classify.threads import limit

MODEL = "package:minilm-l6"
RECIPE = Recipe(5e-5, 0.0, 32, 10, "epochs", 0, None, None)
SHARE, VALIDATION, TEST = 0.01, 100, 1000

Rows = list[tuple[str, int]]


@dataclass(frozen=True)
class Draw:
    """The rows of one data seed: a text and the number of its label a row."""

    train: Rows
    validation: Rows
    test: Rows
    n_labels: int


def draw(folder: Path, seed: int) -> Draw:
    """Draw the rows of one seed; as many train rows of each label."""
    tables = {path.stem: pd.read_csv(path, sep="\t", dtype=str) for path in folder.glob("*.tsv")}
    labels = sorted(tables["train"]["label"].unique())
    generator = np.random.default_rng(seed)
    each = max(1, round(SHARE * len(tables["train"]) / len(labels)))
    chosen = [
        generator.permutation(np.flatnonzero(tables["train"]["label"] == label))[:each].tolist() for label in labels
    ]
    train = [row for rows in chosen for row in rows]
    rest = tables["train"].drop(index=train)
    held = tables.get("validation", rest)
    positions = generator.permutation(len(held))[:VALIDATION]
    test = tables["test"].iloc[generator.permutation(len(tables["test"]))[:TEST]]

    def rows(table: pd.DataFrame) -> Rows:
        return [(str(text), labels.index(label)) for text, label in zip(table["text"], table["label"], strict=True)]

    return Draw(rows(tables["train"].loc[train]), rows(held.iloc[positions]), rows(test), len(labels))


def run_hypermix(case: Draw, seed: int) -> float:
    """Train as HyperMix does; return the test accuracy."""
    network, tokenizer = load_classifier(locate_model(MODEL), case.n_labels, seed)

    def encoded(rows: Rows) -> Encoded:
        targets = np.eye(case.n_labels, dtype=np.float32)[[label for _, label in rows]]
        return encode(tokenizer, [text for text, _ in rows], targets, 512)

    finetune(network, encoded(case.train), encoded(case.validation), RECIPE, seed)
    test = encoded(case.test)
    return float((predict(network, test).argmax(axis=1) == test.targets.argmax(axis=1)).mean())


def run_plain(case: Draw, seed: int) -> float:
    """Train with transformers and torch alone, padding each batch; return the test accuracy."""
    folder = locate_model(MODEL)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network, _ = load_classifier(folder, case.n_labels, seed)  # the same head
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=case.n_labels, use_safetensors=True, dtype=torch.float32
    )
    model.load_state_dict(network.model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RECIPE.learning_rate, eps=1e-8, weight_decay=0.0)
    generator = np.random.default_rng(1_000_000 + seed)
    torch.manual_seed(1_000_000 + seed)

    def batch(rows: Rows) -> dict[str, Any]:
        told = tokenizer([text for text, _ in rows], padding=True, truncation=True, return_tensors="pt")
        return {**told, "labels": torch.tensor([label for _, label in rows])}

    def accuracy(rows: Rows) -> float:
        model.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(rows), RECIPE.batch_size):
                told = batch(rows[start : start + RECIPE.batch_size])
                right += int((model(**told).logits.argmax(-1) == told["labels"]).sum())
        return right / len(rows)

    best, age, weights = -1.0, 0, {}
    while age <= (RECIPE.patience or 0):
        model.train()
        order = generator.permutation(len(case.train)).tolist()
        for start in range(0, len(order), RECIPE.batch_size):
            loss = model(**batch([case.train[row] for row in order[start : start + RECIPE.batch_size]])).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = accuracy(case.validation)
        age += 1
        if found > best:
            best, age = found, 0
            weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights)
    return accuracy(case.test)


def compare(folder: Path, seed: int) -> tuple[float, float]:
    """Return the test accuracies of both arms for one seed."""
    limit(1)
    case = draw(folder, seed)
    ours, plain = run_hypermix(case, seed), run_plain(case, seed)
    print(f"{folder.name}, seed {seed}: {ours:.3f} and {plain:.3f}", file=sys.stderr, flush=True)
    return ours, plain


def describe(name: str, found: Sequence[tuple[float, float]]) -> str:
    """Word a row of the table."""
    ours, plain = np.array(found).T
    difference = ours - plain
    half = float(stats.t.ppf(0.975, len(found) - 1) * difference.std(ddof=1) / np.sqrt(len(found)))
    mean = float(difference.mean())
    level = "yes" if abs(mean) <= half else "no"
    interval = f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"
    return f"| {name} | {len(found)} | {ours.mean():.3f} | {plain.mean():.3f} | {interval} | {level} |"


def main() -> None:
    """Print a row for each dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", nargs="+", default=["sst2", "cr", "trec6"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parsed = parser.parse_args()
    print("| dataset | seeds | HyperMix | plain loop | difference (95 % interval) | level |")
    print("| --- | ---: | ---: | ---: | ---: | --- |", flush=True)
    with ProcessPoolExecutor(parsed.jobs) as pool:
        for name in parsed.datasets:
            folders = [parsed.data / name] * parsed.seeds
            print(describe(name, list(pool.map(compare, folders, range(parsed.seeds)))), flush=True)


if __name__ == "__main__":
    main()
