from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from hypermix.classify.threads import limit


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    monkeypatch.setenv("MKL_CBWR", "")
    monkeypatch.delenv("MKL_CBWR")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_torch_takes_what_is_granted(threads: int) -> None:
    limit(threads)
    assert torch.get_num_threads() == threads


def test_tokenizer_takes_no_threads() -> None:
    limit(1)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_products_keep_one_order_of_sums() -> None:
    limit(2)
    assert os.environ["MKL_CBWR"] == "AUTO,STRICT"


def test_an_order_of_sums_that_is_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    limit(2)
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"
