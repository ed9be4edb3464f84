"""Work out the frozen table of draws for the tests, with neither the library nor Python's random module.

    python benchmarks/sample_table.py tests/unit/data/sample_table.json

Written from the prose of the procedure and from the published Mersenne Twister alone. Before it writes, the program
checks its generator against the published outputs of MT19937.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WORDS, SHIFT = 624, 397
FIRST_SEED = 2746317213
SEEDS = (0, 1, 42, FIRST_SEED, 2**32 - 1)
SIZES = ("1s", "3s", "16s", "32s", "0.001f", "0.003f", "0.01f", "1.0f")
CARVE_SEED = 42
SHORT, ENDS = 12, 4
"""Draws of so many rows stand in full; of larger ones so many of either end, and a checksum of all."""

ABOUT = {
    "made by": "python benchmarks/sample_table.py, which imports neither hypermix nor random",
    "shapes": "N is the sum of the counts. Take a list with each label as often as its count, label after label. "
    "Row i has the label at position (shift + i * step) mod N of that list.",
    "rows": "Positions of the drawn rows, from 0. Of many rows: how many, the ends, and the SHA-256 of all, in decimal "
    "with a comma between two.",
}


class Twister:
    """MT19937 with the two ways to seed it."""

    def __init__(self, state: list[int]) -> None:
        self.state = state
        self.used = WORDS

    @classmethod
    def of_word(cls, word: int) -> Twister:
        """Seed as init_genrand does."""
        state = [word]
        for index in range(1, WORDS):
            state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + index) % 2**32)
        return cls(state)

    @classmethod
    def of_key(cls, key: Sequence[int]) -> Twister:
        """Seed as init_by_array does."""
        state = cls.of_word(19650218).state
        row = 1
        for turn in range(max(WORDS, len(key))):
            mixed = state[row] ^ (state[row - 1] ^ state[row - 1] >> 30) * 1664525
            state[row] = (mixed + key[turn % len(key)] + turn % len(key)) % 2**32
            row = _next_row(row, state)
        for _ in range(WORDS - 1):
            mixed = state[row] ^ (state[row - 1] ^ state[row - 1] >> 30) * 1566083941
            state[row] = (mixed - row) % 2**32
            row = _next_row(row, state)
        state[0] = 2**31
        return cls(state)

    @classmethod
    def of_seed(cls, seed: int) -> Twister:
        """Seed as CPython does with an integer: its 32-bit words, the lowest first, are the key."""
        key = [seed % 2**32]
        while seed := seed >> 32:
            key.append(seed % 2**32)
        return cls.of_key(key)

    def word(self) -> int:
        """Return the next 32 bits."""
        if self.used == WORDS:
            self._twist()
        word = self.state[self.used]
        self.used += 1
        word ^= word >> 11
        word ^= word << 7 & 0x9D2C5680
        word ^= word << 15 & 0xEFC60000
        return word ^ word >> 18

    def _twist(self) -> None:
        state = self.state
        for index in range(WORDS):
            joined = state[index] & 0x80000000 | state[(index + 1) % WORDS] & 0x7FFFFFFF
            state[index] = state[(index + SHIFT) % WORDS] ^ joined >> 1 ^ (0x9908B0DF if joined % 2 else 0)
        self.used = 0

    def bits(self, count: int) -> int:
        """Return an integer of so many bits: whole words, the lowest first, then the upper bits of one more."""
        value = 0
        for low in range(0, count, 32):
            width = min(32, count - low)
            value |= (self.word() >> 32 - width) << low
        return value

    def below(self, limit: int) -> int:
        """Return an integer from 0 to limit - 1; what is too large is drawn again."""
        width = limit.bit_length()
        while (value := self.bits(width)) >= limit:
            pass
        return value

    def shuffle(self, rows: list[int]) -> None:
        """Shuffle in place by Fisher and Yates, from the end."""
        for last in range(len(rows) - 1, 0, -1):
            other = self.below(last + 1)
            rows[last], rows[other] = rows[other], rows[last]


def _next_row(row: int, state: list[int]) -> int:
    if row + 1 < WORDS:
        return row + 1
    state[0] = state[-1]
    return 1


class Shape(NamedTuple):
    """How many rows of each label a dataset has, and in which order they come; see ABOUT."""

    counts: dict[str, int]
    step: int
    shift: int = 0

    def labels(self) -> list[str]:
        """Return the label of each row."""
        blocks = [label for label, count in self.counts.items() for _ in range(count)]
        assert math.gcd(self.step, len(blocks)) == 1, "each position must come once"
        return [blocks[(self.shift + row * self.step) % len(blocks)] for row in range(len(blocks))]


TREC = ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM")
ATIS = (3309, 385, 230, 139, 130, 70, 45, 41, 19, 18, 17, 17, 15, 15, 12, 6, 5, 2, 1, 1, 1)
SHAPES = {
    "sst2-like train": Shape({"1": 3610, "0": 3310}, 4277),
    "sst2-like validation": Shape({"1": 444, "0": 428}, 539, 500),
    "sst2-like test": Shape({"0": 912, "1": 909}, 1126, 7),
    "trec6-like": Shape(dict(zip(TREC, (1162, 1250, 86, 1223, 835, 896), strict=True)), 3371, 100),
    "atis-like": Shape({f"intent {index}": count for index, count in enumerate(ATIS)}, 2767, 4000),
    "imdb-like": Shape({"neg": 12500, "pos": 12500}, 1),
    "three rows": Shape({"yes": 2, "no": 1}, 2),
    "halves": Shape({"b": 250, "a": 250}, 309),
    "one label": Shape({"only": 40}, 1),
}
FULL = ("sst2-like train", "trec6-like", "atis-like", "three rows")
# Shares that give one and a half, two and a half, and three and a half rows a label.
MORE_SIZES = {"halves": ("0.006f", "0.01f", "0.014f"), "one label": ("3s", "0.1f", "1.0f")}
FEWER_SIZES, FEWER_SEEDS = ("16s", "32s", "0.01f", "1.0f"), (0, 42)
CARVES = [(name, n_rows) for name in ("sst2-like train", "trec6-like", "imdb-like") for n_rows in (4000, 2000, 20)]
CARVES += [("atis-like", 4000), ("atis-like", 20), ("three rows", 20), ("three rows", 2), ("halves", 5), ("halves", 7)]
AFTER_CARVE = [("imdb-like", 2000, ("16s", "32s", "0.01f")), ("trec6-like", 20, ("3s", "0.003f"))]


def half_even(value: float) -> int:
    """Round to the nearest integer, a half to the even one."""
    whole = math.floor(value)
    rest = value - whole
    return whole + (rest > 0.5 or (rest == 0.5 and whole % 2 == 1))


def count_wanted(size: str, n_rows: int, n_labels: int) -> int:
    """Return the rows of each label that a size asks for."""
    if size.endswith("s"):
        return int(size[:-1])
    return max(1, half_even(n_rows * float(size[:-1]) / n_labels))


def shuffle_groups(labels: Sequence[str], seed: int) -> list[list[int]]:
    """Group rows by label in the order of first appearance, then shuffle one group after the other."""
    groups: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    twister = Twister.of_seed(seed)
    for group in groups.values():
        twister.shuffle(group)
    return list(groups.values())


def pop_rows(shuffled: Sequence[Sequence[int]], per_class: int) -> tuple[list[int], list[int]]:
    """Pop rows from the end of each group; return the popped rows and what is left."""
    groups = [list(group) for group in shuffled]
    popped = [group.pop() for group in groups for _ in range(min(per_class, len(group)))]
    return popped, [row for group in groups for row in group]


def shorten(rows: Sequence[int]) -> dict[str, Any]:
    """Describe rows so that each of them is told, in little space."""
    if len(rows) <= SHORT:
        return {"rows": list(rows)}
    digest = hashlib.sha256(",".join(map(str, rows)).encode()).hexdigest()
    return {"count": len(rows), "first": list(rows[:ENDS]), "last": list(rows[-ENDS:]), "sha256": digest}


def list_draws() -> Iterator[dict[str, Any]]:
    """Yield a draw for each shape, seed and size."""
    for name, shape in SHAPES.items():
        labels = shape.labels()
        for seed in SEEDS if name in FULL else FEWER_SEEDS:
            shuffled = shuffle_groups(labels, seed)
            for size in SIZES if name in FULL else MORE_SIZES.get(name, FEWER_SIZES):
                per_class = count_wanted(size, len(labels), len(shape.counts))
                rows = pop_rows(shuffled, per_class)[0]
                yield {"shape": name, "seed": seed, "size": size, "per_class": per_class, **shorten(rows)}


def list_carves() -> Iterator[dict[str, Any]]:
    """Yield a carved validation split for each shape and number of rows; refused names labels with no row left."""
    for name, n_rows in CARVES:
        labels = SHAPES[name].labels()
        per_class = half_even(n_rows / len(SHAPES[name].counts))
        entry = {"shape": name, "rows": n_rows, "per_class": per_class}
        if refused := sorted(label for label, count in SHAPES[name].counts.items() if count <= per_class):
            yield {**entry, "refused": refused}
            continue
        taken, left = pop_rows(shuffle_groups(labels, CARVE_SEED), per_class)
        yield {**entry, "taken": shorten(taken), "left": shorten(left)}


def list_after_carve() -> Iterator[dict[str, Any]]:
    """Yield draws from both splits after a carve; the rows are positions in the split that was carved."""
    for name, n_rows, sizes in AFTER_CARVE:
        labels, n_labels = SHAPES[name].labels(), len(SHAPES[name].counts)
        taken, left = pop_rows(shuffle_groups(labels, CARVE_SEED), half_even(n_rows / n_labels))
        for split, kept in (("train", left), ("validation", taken)):
            shuffled = shuffle_groups([labels[row] for row in kept], FIRST_SEED)
            for size in sizes:
                rows = pop_rows(shuffled, count_wanted(size, len(kept), n_labels))[0]
                entry = {"shape": name, "carved": n_rows, "split": split, "seed": FIRST_SEED, "size": size}
                yield {**entry, **shorten([kept[row] for row in rows])}


def list_seeds() -> Iterator[dict[str, Any]]:
    """Yield the first seeds of some masters: successive integers from 0 to 2**32 - 1."""
    for master in (*SEEDS, 2**64 + 1):
        twister = Twister.of_seed(master)
        yield {"master": master, "seeds": [twister.below(2**32) for _ in range(10)]}


def check_generator() -> None:
    """Compare the generator with what its authors and the C++ standard publish.

    Raises:
        AssertionError: If an output differs.
    """
    twister = Twister.of_word(5489)
    assert [twister.word() for _ in range(10_000)][-1] == 4123659995, "the C++ standard's 10,000th output"
    twister = Twister.of_key([0x123, 0x234, 0x345, 0x456])
    whole = [twister.word() for _ in range(1000)]
    real = [twister.word() / 2**32 for _ in range(1000)]
    assert whole[:5] == [1067595299, 955945823, 477289528, 4107218783, 4228976476]
    text = "1000 outputs of genrand_int32()\n" + _fives(f"{value:10d} " for value in whole)
    text += "\n1000 outputs of genrand_real2()\n" + _fives(f"{value:10.8f} " for value in real)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert digest == "cb33e6acc162cbe20f7fcac26adddd02", "the authors' file mt19937ar.out"


def _fives(cells: Iterator[str]) -> str:
    return "".join(cell + "\n" * (number % 5 == 4) for number, cell in enumerate(cells))


def word_table() -> str:
    """Return the whole table as JSON, one entry a line."""
    shapes = [
        {"shape": name, "labels": list(shape.counts), "counts": list(shape.counts.values()), "step": shape.step}
        | {"shift": shape.shift, "rows": sum(shape.counts.values())}
        for name, shape in SHAPES.items()
    ]
    parts = {
        "shapes": shapes,
        "seeds": list(list_seeds()),
        "draws": list(list_draws()),
        "carves": list(list_carves()),
        "draws after a carve": list(list_after_carve()),
    }
    blocks = [f'"about": {json.dumps(ABOUT, indent=1)}']
    for part, entries in parts.items():
        lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
        blocks.append(f'"{part}": [\n{lines}\n]')
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Check the generator, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the file to write")
    path = parser.parse_args().path
    check_generator()
    path.write_text(word_table(), encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
