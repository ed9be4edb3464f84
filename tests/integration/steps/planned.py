"""An experiment that asks a language model, and what its plan is held against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.llm.client import Client
from hypermix.report.forecast import Forecast, Line
from hypermix.steps.augment import open_work
from hypermix.steps.model import abilities, open_llm, open_store
from hypermix.steps.rows import Rows
from tests.integration.steps.chain import AUGMENTATION, SPLITS, Chain, Key, MakeChain, words
from tests.integration.steps.speaker import Speaker, SpeakerBackend, speaking
from tests.tiny import toy_rows, write_csv

PROBES = 2
"""Requests that tell what an endpoint takes that takes all."""

PRICE = {"input": 1.0, "output": 2.0, "as_of": "2026-11-22", "source": "its page"}


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with speaking() as running:
        yield running


@pytest.fixture
def make_asking(tmp_path: Path, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> MakeChain:
    """Return a function that makes an experiment of two data seeds with drawn rows, asking the speaker.

    Its files count as large ones, whose rows a plan does not draw aside.
    """
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 0)
    speaker.useless = 0
    speaker.requests.clear()
    speaker.tokens.clear()
    rows = {name: toy_rows(count, seed) for seed, (name, count) in enumerate(zip(SPLITS, (24, 12, 20), strict=True))}
    files = {name: str(write_csv(tmp_path / f"{name}.csv", split)) for name, split in rows.items()}
    raw = {
        "datasets": {"toy": {"source": "file", **files, "text_type": "movie review", "label_type": "sentiment"}},
        "subsample": {"train": ["2s"], "validation": "4s", "test": None},
        "seeds": {"data": [11, 12], "trials": [7]},
        "llms": {"near": {"api": "completions", "base_url": speaker.base_url, "model": "tiny", "price": PRICE}},
        "augmenters": {
            "none": {"method": "none"},
            "mix": {"method": "gpt3mix", "llm": "near", "examples": 3, "max_tokens": 40},
        },
        "classifiers": {"tiny": {"method": "finetune"}},
        "cache": str(tmp_path / "cache"),
        "results": str(tmp_path / "results"),
    }

    def make_chain(draw: tuple[int, ...] = (11, 12), **overlay: Any) -> Chain:
        chain = Chain(tmp_path / "results", tmp_path / "cache", merge(raw, overlay))
        chain.prepare()
        for seed in draw:
            chain.subsample({"dataset": "toy", "subsample": "2s", "data_seed": seed})
        return chain

    return make_chain


def line(told: Forecast, augmenter: str = "mix") -> Line:
    (found,) = [one for one in told.lines if one.augmenter == augmenter]
    return found


def answer_draw(chain: Chain, key: Key, speaker: Speaker) -> None:
    """Make the rows of a draw in this process, so that their answers are stored."""
    slice_json = experiment.augment_slice(chain.config, key["dataset"], key["augmenter"])
    runtime = experiment.augment_runtime(chain.config, key["augmenter"], 1)
    work = open_work(words(key, AUGMENTATION), slice_json, {"train": chain.drawn(key)["train"]})
    settings = work.parts["llm"]
    llm = replace(open_llm(settings, runtime), open=lambda: nullcontext(SpeakerBackend(speaker)))
    with Client(llm, open_store(settings, runtime)) as client:
        Rows(work.build(abilities(settings, runtime, client)), work.sieve(), client).make()
