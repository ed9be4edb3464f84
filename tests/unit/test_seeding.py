from __future__ import annotations

import os
import random
import subprocess
import sys

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
