"""Time a whole training run against transformers' Trainer and a plain padded loop: same rows, epochs and batch size.

    pip install accelerate    # the Trainer wants it, HyperMix does not
    python benchmarks/train_speed.py --folder DIR [--epochs 3] [--rounds 3] [--threads 2]

The case: MiniLM-L6, 1 % of SST-2 (70 rows) for training, its 872 validation rows after each epoch. DIR holds
train.tsv and validation.tsv with the columns text and label. The arms take turns in each round, and each starts from
the same weights. Prints Markdown tables for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from hypermix.classify.encode import Encoded, encode
from hypermix.classify.finetune import finetune
from hypermix.classify.model import load_classifier, locate_model
from hypermix.classify.recipe import Recipe
from hypermix.classify.threads import limit

BATCH, RATE, ROWS, SIDE = 32, 5e-5, 70, 2048
ARMS = ("hypermix", "Trainer", "plain loop")


@dataclass(frozen=True)
class Case:
    """What all arms train on: a text and the number of its label a row."""

    train: list[tuple[str, int]]
    validation: list[tuple[str, int]]
    epochs: int


def read_case(folder: Path, epochs: int) -> Case:
    """Read the rows; of train as many of each label."""
    tables = {name: pd.read_csv(folder / f"{name}.tsv", sep="\t") for name in ("train", "validation")}
    labels = sorted(tables["train"]["label"].unique())
    parts = [rows.sample(ROWS // len(labels), random_state=0) for _, rows in tables["train"].groupby("label")]
    tables["train"] = pd.concat(parts)
    rows = {
        name: [(str(text), labels.index(label)) for text, label in zip(table["text"], table["label"], strict=True)]
        for name, table in tables.items()
    }
    return Case(rows["train"], rows["validation"], epochs)


EPOCHS: list[float] = []
"""Seconds of each epoch of HyperMix, with its validation; loading the model is not in them."""


def run_hypermix(case: Case) -> Sequence[float]:
    """Train as HyperMix does; return the validation accuracies."""
    network, tokenizer = load_classifier(locate_model("package:minilm-l6"), 2, 0)
    train, validation = (_encoded(tokenizer, rows) for rows in (case.train, case.validation))
    steps = case.epochs * -(-len(case.train) // BATCH)
    recipe = Recipe(RATE, 0.0, BATCH, case.epochs, "epochs", 0, steps, None)
    history = finetune(network, train, validation, recipe, 0)
    EPOCHS.extend(moment.seconds for moment in history)
    return [moment.validation_accuracy for moment in history]


def run_plain(case: Case) -> Sequence[float]:
    """Train as the reference does: tokenize and pad each batch to its longest, validate in batches of 32."""
    tokenizer, model = _fresh()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, eps=1e-8, weight_decay=0.0)

    def collate(rows: list[tuple[str, int]]) -> dict[str, torch.Tensor]:
        batch = tokenizer([text for text, _ in rows], padding=True, truncation=True, return_tensors="pt")
        return {**batch, "labels": torch.tensor([label for _, label in rows])}

    train: DataLoader[Any] = DataLoader(case.train, BATCH, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]
    validation: DataLoader[Any] = DataLoader(case.validation, BATCH, collate_fn=collate)  # type: ignore[arg-type]
    found = []
    for _ in range(case.epochs):
        model.train()
        for batch in train:
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for batch in validation:
                right += int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
        found.append(right / len(case.validation))
    return found


def run_trainer(case: Case) -> Sequence[float]:
    """Train with transformers' Trainer: dynamic padding, rows grouped by length, evaluation too."""
    tokenizer, model = _fresh()

    def rows(texts: list[tuple[str, int]]) -> list[dict[str, Any]]:
        found = tokenizer([text for text, _ in texts], truncation=True)["input_ids"]
        return [{"input_ids": ids, "labels": label} for ids, (_, label) in zip(found, texts, strict=True)]

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            num_train_epochs=case.epochs,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            train_sampling_strategy="group_by_length",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=rows(case.train),
            eval_dataset=rows(case.validation),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda told: {"accuracy": float((told.predictions.argmax(-1) == told.label_ids).mean())},
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return [line["eval_accuracy"] for line in trainer.state.log_history if "eval_accuracy" in line]


def _fresh() -> tuple[PreTrainedTokenizerBase, Any]:
    folder = locate_model("package:minilm-l6")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, use_safetensors=True)
    return AutoTokenizer.from_pretrained(folder), model


def _encoded(tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, int]]) -> Encoded:
    targets = np.eye(2, dtype=np.float32)[[label for _, label in rows]]
    return encode(tokenizer, [text for text, _ in rows], targets, 512)


def matrix_rate() -> float:
    """Return the GFLOP/s of a large float32 matrix product."""
    one, other = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    torch.mm(one, other)
    started = time.perf_counter()
    for _ in range(10):
        torch.mm(one, other)
    return 10 * 2 * SIDE**3 / (time.perf_counter() - started) / 1e9


def useful_work(case: Case) -> dict[str, float]:
    """Return the GFLOP of an epoch: of each token that is no padding, forward three times for a row of train (backward
    costs twice as much) and once for a row of validation.

    Once for all tokens in all layers, as one counts the work of a model; and once without what the last layer need not
    compute, since the head reads the first token of a row alone.
    """
    network, tokenizer = load_classifier(locate_model("package:minilm-l6"), 2, 0)
    config = network.model.config
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers

    def forward(rows: Encoded, whole: bool) -> float:
        qkv, rest, total = 3 * width**2, width**2 + 2 * width * inner, 0.0
        for tokens in map(len, rows.tokens):
            mixed = layers * tokens * (qkv + 2 * tokens * width)
            total += 2 * (mixed + rest * ((layers - 1) * tokens + (tokens if whole else 1)))
        return total / 1e9

    train, validation = (_encoded(tokenizer, rows) for rows in (case.train, case.validation))
    return {
        what: 3 * forward(train, whole) + forward(validation, whole)
        for what, whole in {"all tokens in all layers": True, "what is computed": False}.items()
    }


def main() -> None:
    """Print the whole run of each arm, and how near HyperMix is to the machine's rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parsed = parser.parse_args()
    limit(parsed.threads)
    case = read_case(parsed.folder, parsed.epochs)
    arms: dict[str, Callable[[Case], Sequence[float]]] = dict(
        zip(ARMS, (run_hypermix, run_trainer, run_plain), strict=True)
    )
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    accuracies: dict[str, float] = {}
    rates = []
    for _ in range(parsed.rounds):
        for name, run in arms.items():
            rates.append(matrix_rate())
            started = time.perf_counter()
            accuracies[name] = run(case)[-1]
            seconds[name].append(time.perf_counter() - started)
    ours = np.array(seconds["hypermix"])
    print("| arm | seconds a run (median) | seconds an epoch | HyperMix's share of it, each round | accuracy |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found in seconds.items():
        shares = ", ".join(f"{share:.2f}" for share in ours / np.array(found))
        middle = float(np.median(found))
        print(f"| {name} | {middle:.1f} | {middle / case.epochs:.2f} | {shares} | {accuracies[name]:.3f} |")
    rate, epoch = float(np.median(rates)), float(np.median(EPOCHS))
    print(f"\nMatrix product: {rate:.0f} GFLOP/s (from {min(rates):.0f} to {max(rates):.0f}).")
    for what, work in useful_work(case).items():
        done = work / epoch
        told = f"{work:.0f} GFLOP an epoch of {epoch:.2f} s, {done:.0f} GFLOP/s, {done / rate:.2f} of the rate"
        print(f"HyperMix, {what}: {told}.")


if __name__ == "__main__":
    main()
