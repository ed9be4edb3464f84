from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.seeding import MAX_SEED, child_generator, child_seed, spawn_seeds
from tests.architecture.source import ROOT

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
SEEDS = st.integers(0, MAX_SEED)
PATHS = st.lists(st.integers(0, 100) | st.text(max_size=5), max_size=3)


def test_seeds_of_master_are_the_references() -> None:
    assert spawn_seeds(42, 3) == [2746317213, 1181241943, 958682846]


@pytest.mark.parametrize(
    ("master", "seeds"),
    [
        (0, [3626764237, 1806341205, 2195908194, 2046968324, 3900315155]),
        (1, [3280387012, 1095513148, 1930549411, 2798570523, 3387541014]),
        (42, [2746317213, 1181241943, 958682846, 3163119785, 1812140441]),
        (2746317213, [3929441273, 1586120196, 2723879211, 1737159854, 1153863178]),
        (MAX_SEED, [872737089, 1201118819, 3854456112, 1762836277, 3453575882]),
    ],
)
def test_spawned_seeds_are_frozen(master: int, seeds: list[int]) -> None:
    # Worked out by benchmarks/sample_table.py, which has its own Mersenne Twister.
    assert spawn_seeds(master, len(seeds)) == seeds


def words_of_key(key: list[int], count: int) -> list[int]:
    """Return outputs of numpy's MT19937 by the authors' init_by_array; numpy shares no code with Python's random."""
    return [int(word) for word in np.random.RandomState(key).randint(0, 2**32, count, dtype=np.uint32)]


def test_key_gives_the_published_words() -> None:
    # The first outputs in the file that the authors of MT19937 publish with their code.
    published = [1067595299, 955945823, 477289528, 4107218783, 4228976476, 3344332714, 3355579695, 227628506]

    assert words_of_key([0x123, 0x234, 0x345, 0x456], 8) == published
    # A seed is one word and the top bit of the next; where that bit is 1, as in the second and third pair, both are
    # drawn again.
    assert spawn_seeds(0x456_00000345_00000234_00000123, 2) == [published[0], published[6]]


@STEADY
@given(SEEDS | st.sampled_from([0, 1, MAX_SEED]), st.integers(1, 30))
def test_seeds_are_words_of_the_twister(master: int, count: int) -> None:
    words = words_of_key([master], 8 * count + 200)
    pairs = zip(words[::2], words[1::2], strict=True)
    expected = [low for low, high in pairs if high < 2**31]

    assert spawn_seeds(master, count) == expected[:count]


@STEADY
@given(SEEDS)
def test_neighboring_masters_give_other_seeds(master: int) -> None:
    assert spawn_seeds(master, 4) != spawn_seeds(master ^ 1, 4)


def test_seeds_of_one_master_differ() -> None:
    for master in (0, 1, 42, MAX_SEED):
        assert len(set(spawn_seeds(master, 1000))) == 1000


def test_seeds_use_all_32_bits() -> None:
    seeds = spawn_seeds(42, 64)
    union, common = 0, MAX_SEED
    for seed in seeds:
        union, common = union | seed, common & seed

    assert (union, common) == (MAX_SEED, 0)


def test_a_seed_can_be_a_master() -> None:
    assert spawn_seeds(spawn_seeds(42, 1)[0], 2) == [3929441273, 1586120196]


@STEADY
@given(SEEDS, st.integers(0, 20), st.integers(0, 20))
def test_more_seeds_keep_earlier_ones(master: int, few: int, more: int) -> None:
    assert spawn_seeds(master, few + more)[:few] == spawn_seeds(master, few)


def test_count_zero_gives_no_seed() -> None:
    assert spawn_seeds(42, 0) == []


def test_seed_zero_is_a_seed() -> None:
    assert spawn_seeds(0, 2) == [3626764237, 1806341205]
    assert child_seed(0, ["a"]) == child_seed(0, ["a"]) != child_seed(1, ["a"])
    assert child_generator(0, ["a"]).random() == child_generator(0, ["a"]).random()


@STEADY
@given(SEEDS)
def test_seeds_fit_into_32_bits(master: int) -> None:
    assert all(0 <= seed <= MAX_SEED for seed in spawn_seeds(master, 5))


@STEADY
@given(SEEDS, PATHS, st.sampled_from([8, 31, 32, 64, 128]))
def test_child_seed_has_its_width(seed: int, path: list[str | int], bits: int) -> None:
    assert 0 <= child_seed(seed, path, bits) < 2**bits


@pytest.mark.parametrize("bits", [31, 64])
def test_child_seeds_use_every_bit(bits: int) -> None:
    union = 0
    for row in range(64):
        union |= child_seed(1, ("row", row), bits)

    assert union == 2**bits - 1


def test_different_paths_give_different_seeds() -> None:
    paths: list[list[str | int]] = [["a"], ["b"], ["a", 0], ["a", 1], ["a", "0"], [0, "a"], ["a0"], []]
    seeds = [child_seed(seed, path) for seed in (1, 2) for path in paths]

    assert len(set(seeds)) == len(seeds)


def test_child_seeds_are_pinned() -> None:
    assert child_seed(7, ("gpt3mix", 3, 1)) == 14898053917666521132
    assert child_seed(7, ("gpt3mix", 3, 1), bits=31) == 485230673


def test_generator_draws_from_child_seed() -> None:
    expected = random.Random(child_seed(5, ("x", 1)))

    assert child_generator(5, ("x", 1)).getstate() == expected.getstate()


def test_global_random_state_is_untouched() -> None:
    before = random.getstate()
    spawn_seeds(42, 5)
    child_generator(42, ("a",)).random()

    assert random.getstate() == before


def test_hash_seed_changes_no_seed() -> None:
    program = (
        "from hypermix.seeding import child_generator, child_seed, spawn_seeds; "
        "print(spawn_seeds(42, 3), child_seed(1, ('a', 2)), child_generator(1, ('b', 'c')).random())"
    )

    def said(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert said("1") == said("2") != ""
