from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerBase

from hypermix.classify.encode import TOKENS_A_BATCH, Encoded, encode, length_sorted, pad_rows
from tests.tiny import LONGEST

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
LENGTHS = st.lists(st.integers(1, 40), max_size=60)
TARGETS = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)


def rows_of(lengths: list[int]) -> Encoded:
    tokens = [[position + 1] * length for position, length in enumerate(lengths)]
    return Encoded(tokens, np.zeros((len(lengths), 2), dtype=np.float32), 0, 0)


# Tokens.


def test_texts_become_special_and_word_ids(tokenizer: PreTrainedTokenizerBase) -> None:
    found = encode(tokenizer, ["the good film", "Unheard"], TARGETS, 10)
    assert found.tokens == [[2, 12, 4, 13, 3], [2, 1, 3]]
    assert (found.cut, found.pad, len(found)) == (0, 0, 2)
    assert found.targets is TARGETS


def test_long_rows_are_cut_and_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    found = encode(tokenizer, ["good " * 30, "good", "bad " * 9], np.zeros((3, 2), dtype=np.float32), 10)
    assert [len(ids) for ids in found.tokens] == [10, 3, 10]
    assert found.cut == 2
    assert found.tokens[0] == [2, *[4] * 8, 3]  # the last special token stays


def test_row_of_the_longest_length_is_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    found = encode(tokenizer, ["good " * 8], TARGETS[:1], 10)
    assert (len(found.tokens[0]), found.cut) == (10, 0)


def test_cutting_leaves_no_trace_on_next_rows(tokenizer: PreTrainedTokenizerBase) -> None:
    encode(tokenizer, ["good " * 30], TARGETS[:1], 5)
    found = encode(tokenizer, ["good " * 20], TARGETS[:1], 100)
    assert (len(found.tokens[0]), found.cut) == (22, 0)


def test_no_texts_are_no_rows(tokenizer: PreTrainedTokenizerBase) -> None:
    found = encode(tokenizer, [], TARGETS[:0], 10)
    assert (found.tokens, found.cut, len(found)) == ([], 0, 0)


def test_empty_text_has_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode(tokenizer, [""], TARGETS[:1], 10).tokens == [[2, 3]]


# Batches.


def test_short_rows_are_filled_and_masked() -> None:
    batch = pad_rows(Encoded([[5, 6, 7], [8], [9, 9]], TARGETS, 0, 4), [1, 0])
    assert batch["input_ids"].tolist() == [[8, 4, 4], [5, 6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_batch_is_as_long_as_its_longest() -> None:
    assert pad_rows(rows_of([2, 9, 3]), [0, 2])["input_ids"].shape == (2, 3)


@STEADY
@given(LENGTHS, st.integers(1, 100))
def test_each_row_is_in_one_batch(lengths: list[int], budget: int) -> None:
    batches = list(length_sorted(rows_of(lengths), budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert all(batches)


@STEADY
@given(LENGTHS, st.integers(1, 100))
def test_batches_keep_the_token_budget(lengths: list[int], budget: int) -> None:
    for batch in length_sorted(rows_of(lengths), budget):
        padded = len(batch) * max(lengths[position] for position in batch)
        assert padded <= budget or len(batch) == 1


@STEADY
@given(LENGTHS, st.integers(1, 100))
def test_batches_are_no_smaller_than_needed(lengths: list[int], budget: int) -> None:
    batches = list(length_sorted(rows_of(lengths), budget))
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * lengths[following[0]] > budget


@STEADY
@given(LENGTHS)
def test_batches_come_shortest_rows_first(lengths: list[int]) -> None:
    order = [position for batch in length_sorted(rows_of(lengths), 50) for position in batch]
    assert [(lengths[position], position) for position in order] == sorted(
        (length, position) for position, length in enumerate(lengths)
    )


@pytest.mark.parametrize("lengths", [[], [1]])
def test_few_rows_are_few_batches(lengths: list[int]) -> None:
    assert len(list(length_sorted(rows_of(lengths)))) == len(lengths)


def test_default_budget_is_used() -> None:
    batches = list(length_sorted(rows_of([16] * 250)))
    assert [len(batch) for batch in batches] == [TOKENS_A_BATCH // 16, TOKENS_A_BATCH // 16, 250 - TOKENS_A_BATCH // 8]


def test_text_without_any_token_gets_one_of_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    bare = copy.deepcopy(tokenizer)
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    wanted = [[bare.pad_token_id], [bare.convert_tokens_to_ids("bad")]]
    assert encode(bare, ["", "bad"], TARGETS, LONGEST).tokens == wanted
