"""How long the filters take with many rows, how much memory, and whether they find all copies.

python benchmarks/filter_scale.py [--train 120000] [--test 8000] [--rows 20000]

Texts are made up: words by a power law, 8 to 60 of them. A tenth of the rows are copies that must be refused: of train
rows, of test rows and of rows before them, with other punctuation or with one changed word.
"""

from __future__ import annotations

import argparse
import itertools
import random
import resource
import tempfile
import time
from pathlib import Path

from hypermix import tables
from hypermix.augment.base import Slot
from hypermix.augment.dialogue import Dialogue
from hypermix.config.filter import Filters
from hypermix.files import write_table
from hypermix.records import Example, SyntheticRow
from hypermix.steps.rows import Rows
from hypermix.steps.sieve import open_filter

WORDS = [f"w{number}" for number in range(30_000)]
WEIGHTS = list(itertools.accumulate(1 / (number + 1) for number in range(len(WORDS))))


class Given:
    """An augmenter whose rows are there already."""

    attempts = 1
    most_requests = 0

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.n_rows = len(texts)

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - nobody is asked
        return example.text

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        yield from ()
        return SyntheticRow(slot.row, self.texts[slot.row], "a", None, None, None, (), None, None)


def make(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, cum_weights=WEIGHTS, k=generator.randint(12, 60)))


def copy(text: str, generator: random.Random) -> str:
    """Change the punctuation, or one word in the middle."""
    if generator.random() < 0.5:
        return f"{text.capitalize()}!"
    words = text.split()
    words[len(words) // 2] = "changed"
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("train", 120_000), ("test", 8_000), ("rows", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    counts = parser.parse_args()
    generator = random.Random(1)  # noqa: S311 - made-up texts
    examples = [Example(f"e{number}", make(generator), "ab"[number % 2]) for number in range(counts.train)]
    tested = [make(generator) for _ in range(counts.test)]
    texts: list[str] = []
    expected: list[bool] = []
    for _ in range(counts.rows):
        kind = generator.choice(["train", "test", "synthetic"]) if generator.random() < 0.1 and texts else None
        sources = {"train": [example.text for example in examples[:1000]], "test": tested, "synthetic": texts}
        text = make(generator) if kind is None else copy(generator.choice(sources[kind]), generator)
        texts.append(text)
        expected.append(kind is not None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.parquet"
        columns = {"id": [f"t{number}" for number in range(counts.test)], "text": tested, "label": ["a"] * counts.test}
        write_table(path, tables.from_columns("test", columns), {})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        started, used = time.perf_counter(), time.process_time()
        sieve = open_filter({"filters": Filters(copies="near").model_dump()}, examples, 2, path)
        built = time.perf_counter()
        rows = Rows(Given(texts), sieve, None).make().rows
        ended, total = time.perf_counter(), time.process_time()
    missed = sum(wanted and row.kept for row, wanted in zip(rows, expected, strict=True))
    wrong = sum(not wanted and not row.kept for row, wanted in zip(rows, expected, strict=True))
    print(f"{counts.rows:,} rows against {counts.train:,} train rows and {counts.test:,} test rows")
    print(f"copies: {sum(expected):,}, missed: {missed}, other rows refused: {wrong}")
    seconds = {"index": built - started, "rows": ended - built, "all": ended - started, "all, of CPU": total - used}
    print(", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items()))
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB at most, {before:.0f} MB before")


if __name__ == "__main__":
    main()
