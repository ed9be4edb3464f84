"""Draws, carves and seeds equal a table that was worked out without the code under test.

`sample_table.json` was made by `benchmarks/sample_table.py`. That program follows the prose of the reference's
procedure and brings a Mersenne Twister of its own, with CPython's way to seed it, to take bits, to draw below a limit
and to shuffle. It imports neither hypermix nor random, and starts only if its generator gives the published outputs of
MT19937: the 10,000th output of seed 5489 that the C++ standard names, and the authors' file of 2,000 outputs, by its
checksum. The shapes have the sizes of known datasets, but their rows are only labels, set in order by a formula that
is rebuilt here. Large draws stand as their ends and a SHA-256 of all rows.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hypermix.data.sample import draw, rows_per_class
from hypermix.data.split import carve_reference
from hypermix.errors import DataError
from hypermix.seeding import MAX_SEED, spawn_seeds
from tests.architecture.source import ROOT, imported, parse

PATH = Path(__file__).with_name("sample_table.json")
PROGRAM = ROOT / "benchmarks" / "sample_table.py"
TABLE: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
SHAPES: dict[str, dict[str, Any]] = {shape["shape"]: shape for shape in TABLE["shapes"]}
DRAWS: list[dict[str, Any]] = TABLE["draws"]
CARVES: list[dict[str, Any]] = [entry for entry in TABLE["carves"] if "refused" not in entry]
REFUSED: list[dict[str, Any]] = [entry for entry in TABLE["carves"] if "refused" in entry]


@functools.cache
def labels_of(name: str) -> tuple[str, ...]:
    """Rebuild the labels of a shape by the table's formula."""
    shape = SHAPES[name]
    blocks = [label for label, count in zip(shape["labels"], shape["counts"], strict=True) for _ in range(count)]
    return tuple(blocks[(shape["shift"] + row * shape["step"]) % len(blocks)] for row in range(len(blocks)))


def counts_of(name: str) -> dict[str, int]:
    return dict(zip(SHAPES[name]["labels"], SHAPES[name]["counts"], strict=True))


def same_rows(rows: Sequence[int], entry: dict[str, Any]) -> bool:
    """Compare rows with an entry that holds them in full or in short."""
    if "rows" in entry:
        return bool(list(rows) == entry["rows"])
    ends = [len(rows), list(rows[: len(entry["first"])]), list(rows[-len(entry["last"]) :])]
    digest = hashlib.sha256(",".join(map(str, rows)).encode()).hexdigest()
    return [*ends, digest] == [entry[key] for key in ("count", "first", "last", "sha256")]


def name_entry(entry: dict[str, Any]) -> str:
    values = [entry.get(key) for key in ("shape", "seed", "size", "rows", "split")]
    return "-".join(str(value) for value in values if isinstance(value, int | str))


@pytest.mark.parametrize("name", SHAPES)
def test_shape_has_its_labels(name: str) -> None:
    labels = labels_of(name)

    assert Counter(labels) == counts_of(name)
    assert len(labels) == SHAPES[name]["rows"]


def test_table_holds_what_matters() -> None:
    seeds = {entry["seed"] for entry in DRAWS}
    sizes = {entry["size"] for entry in DRAWS}
    first = {name: list(dict.fromkeys(labels_of(name))) for name in SHAPES}

    assert seeds == {0, 1, 42, 2746317213, MAX_SEED}
    assert sizes >= {"1s", "3s", "16s", "32s", "0.001f", "0.003f", "0.01f", "1.0f"}
    assert {entry["rows"] for entry in TABLE["carves"]} >= {4000, 2000, 20}
    # First appearance is neither the sorted order nor the order of sizes everywhere.
    assert any(order != sorted(order) for order in first.values())
    assert any(order != [label for label, _ in Counter(labels_of(name)).most_common()] for name, order in first.items())
    assert min(min(counts_of(name).values()) for name in SHAPES) == 1


@pytest.mark.parametrize("entry", DRAWS, ids=name_entry)
def test_draw_is_the_tables(entry: dict[str, Any]) -> None:
    labels, counts = labels_of(entry["shape"]), counts_of(entry["shape"])
    per_class = rows_per_class(entry["size"], len(labels), len(counts))
    result = draw(labels, per_class, entry["seed"])

    assert per_class == result.asked == entry["per_class"]
    assert same_rows(result.rows, entry)
    assert result.short == {label: count for label, count in counts.items() if count < per_class}
    assert len(result.rows) + len(result.left) == len(labels)


@pytest.mark.parametrize("entry", CARVES, ids=name_entry)
def test_carve_is_the_tables(entry: dict[str, Any]) -> None:
    left, taken = carve_reference(labels_of(entry["shape"]), entry["rows"])

    assert same_rows(taken, entry["taken"])
    assert same_rows(left, entry["left"])


@pytest.mark.parametrize("entry", CARVES, ids=name_entry)
def test_carve_takes_alike_from_each_label(entry: dict[str, Any]) -> None:
    labels, counts = labels_of(entry["shape"]), counts_of(entry["shape"])
    left, taken = carve_reference(labels, entry["rows"])

    assert Counter(labels[row] for row in taken) == dict.fromkeys(counts, entry["per_class"])
    assert sorted([*left, *taken]) == list(range(len(labels)))
    # What is left stands label by label, in the order of first appearance.
    assert list(dict.fromkeys(labels[row] for row in left)) == list(dict.fromkeys(labels))
    assert sum(labels[row] != labels[after] for row, after in itertools.pairwise(left)) == len(counts) - 1


@pytest.mark.parametrize("entry", REFUSED, ids=name_entry)
def test_carve_that_empties_a_label_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="carve") as caught:
        carve_reference(labels_of(entry["shape"]), entry["rows"])

    assert all(repr(label) in str(caught.value) for label in entry["refused"])


@pytest.mark.parametrize("entry", TABLE["draws after a carve"], ids=name_entry)
def test_draw_after_carve_is_the_tables(entry: dict[str, Any]) -> None:
    labels = labels_of(entry["shape"])
    left, taken = carve_reference(labels, entry["carved"])
    kept = {"train": left, "validation": taken}[entry["split"]]
    per_class = rows_per_class(entry["size"], len(kept), len(set(labels)))
    rows = draw([labels[row] for row in kept], per_class, entry["seed"]).rows

    assert same_rows([kept[row] for row in rows], entry)


@pytest.mark.parametrize("entry", TABLE["seeds"], ids=lambda entry: str(entry["master"]))
def test_spawned_seeds_are_the_tables(entry: dict[str, Any]) -> None:
    assert spawn_seeds(entry["master"], len(entry["seeds"])) == entry["seeds"]


# The table is what its program says, and the program knows nothing of the library.


def test_program_makes_the_table_alone(tmp_path: Path) -> None:
    made = tmp_path / "table.json"
    # Isolated and without site packages: neither hypermix nor numpy could be imported.
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(made)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)

    assert made.read_bytes() == PATH.read_bytes()


def test_program_has_its_own_generator() -> None:
    names = {name.split(".")[0] for name in imported(parse(PROGRAM.read_text(encoding="utf-8")))}

    assert names & {"hypermix", "numpy", "random", "secrets", "_random"} == set()
    assert names <= sys.stdlib_module_names


def test_table_stays_small() -> None:
    assert PATH.stat().st_size < 60_000


# The table tells a wrong procedure from the right one.


def _shuffled(labels: Sequence[str], order: Sequence[str], seeds: Sequence[int]) -> list[list[int]]:
    groups = [[row for row, label in enumerate(labels) if label == wanted] for wanted in order]
    generators: dict[int, random.Random] = {}
    for number, group in enumerate(groups):
        seed = seeds[number % len(seeds)]
        generators.setdefault(seed, random.Random(seed)).shuffle(group)
    return groups


def _right(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    groups = _shuffled(labels, list(dict.fromkeys(labels)), [seed])
    return [row for group in groups for row in group[::-1][:per_class]]


def _from_the_front(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    groups = _shuffled(labels, list(dict.fromkeys(labels)), [seed])
    return [row for group in groups for row in group[:per_class]]


def _not_reversed(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    groups = _shuffled(labels, list(dict.fromkeys(labels)), [seed])
    return [row for group in groups for row in group[-per_class:]]


def _sorted_labels(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    groups = _shuffled(labels, sorted(set(labels)), [seed])
    return [row for group in groups for row in group[::-1][:per_class]]


def _generator_per_label(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    order = list(dict.fromkeys(labels))
    groups = _shuffled(labels, order, [seed + number for number in range(len(order))])
    return [row for group in groups for row in group[::-1][:per_class]]


def _one_shuffle(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    rows = list(range(len(labels)))
    random.Random(seed).shuffle(rows)
    groups = [[row for row in reversed(rows) if labels[row] == label] for label in dict.fromkeys(labels)]
    return [row for group in groups for row in group[:per_class]]


def _clock_for_zero(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    return _right(labels, per_class, seed or 1700000000)


def _31_bits(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    return _right(labels, per_class, seed % 2**31)


def _samples(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    generator = random.Random(seed)
    groups = [[row for row, other in enumerate(labels) if other == label] for label in dict.fromkeys(labels)]
    return [row for group in groups for row in generator.sample(group, min(per_class, len(group)))]


Procedure = Callable[[Sequence[str], int, int], list[int]]
WRONG: list[Procedure] = [
    _from_the_front,
    _not_reversed,
    _sorted_labels,
    _generator_per_label,
    _one_shuffle,
    _clock_for_zero,
    _31_bits,
    _samples,
]


def differing(procedure: Procedure) -> int:
    """Count the smaller shapes' entries that a procedure does not give."""
    entries = [entry for entry in DRAWS if entry["shape"] in ("sst2-like test", "trec6-like", "three rows")]
    drawn = [procedure(labels_of(entry["shape"]), entry["per_class"], entry["seed"]) for entry in entries]
    return sum(not same_rows(rows, entry) for rows, entry in zip(drawn, entries, strict=True))


def test_prose_in_plain_python_gives_the_table() -> None:
    assert differing(_right) == 0


@pytest.mark.parametrize("procedure", WRONG, ids=lambda procedure: procedure.__name__.strip("_"))
def test_wrong_procedure_contradicts_the_table(procedure: Procedure) -> None:
    assert differing(procedure) > 0


@pytest.mark.parametrize("rounded", [math.floor, math.ceil, lambda value: math.floor(value + 0.5)])
def test_wrong_rounding_contradicts_the_table(rounded: Callable[[float], int]) -> None:
    wrong = []
    for entry in DRAWS:
        if entry["size"].endswith("f"):
            labels = labels_of(entry["shape"])
            share = len(labels) * float(entry["size"][:-1]) / len(set(labels))
            wrong.append(max(1, rounded(share)) != entry["per_class"])

    assert any(wrong)


def test_changed_rows_are_not_the_same() -> None:
    rows = list(range(30))
    entry = {"count": 30, "first": [0, 1], "last": [28, 29]}
    entry["sha256"] = hashlib.sha256(",".join(map(str, rows)).encode()).hexdigest()
    swapped = [*rows[:10], rows[11], rows[10], *rows[12:]]

    assert same_rows(rows, entry)
    assert not same_rows(swapped, entry)
    assert not same_rows(rows[:-1], entry)
    assert not same_rows([2, 1], {"rows": [1, 2]})
