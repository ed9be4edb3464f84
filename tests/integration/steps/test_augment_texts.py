"""The methods that ask by a template, with the packaged language model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypermix.augment.base import Slot
from hypermix.augment.tools import Tools
from hypermix.files import read_table
from hypermix.steps.augment import open_work
from hypermix.steps.embedding import embed_texts
from tests.gguf import CONTEXT
from tests.integration.steps.chain import AUGMENTATION, Chain, Key, MakeChain, words
from tests.unit.augment.playing import plan

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "more-like-these.jinja"
LLM = {"llm": "local", "max_tokens": 16, "attempts": 3, "temperature": 0.7, "multiplier": 0.5}
SETTINGS: dict[str, dict[str, Any]] = {
    "paraphrase": {"per_call": 2},
    "conditional": {"candidates": 2, "examples": 1},
    "attributed": {"attributes": {"topic": [], "length": ["short", "long"]}, "values": 2},
    "promptmix": {"per_call": 2, "examples": 1},
    "backtranslate": {"by": "llm"},
    "cotam": {"max_tokens": 60, "temperature": 0.7, "attempts": 2},
    "template": {"template": str(EXAMPLE), "sampling": "closest"},
}


def drawn(make_chain: MakeChain, method: str, **more: Any) -> tuple[Chain, Key]:
    llms = {"local": {"model": "package:gemma3-270m", "context": CONTEXT}}
    chain = make_chain(llms=llms, augmenters={"one": {"method": method, **LLM, **SETTINGS[method], **more}})
    chain.prepare()
    key = chain.key("one")
    chain.subsample(key)
    return chain, key


@pytest.mark.parametrize("method", SETTINGS)
def test_packaged_model_makes_rows(make_chain: MakeChain, method: str) -> None:
    chain, key = drawn(make_chain, method)
    chain.augment(key)
    rows = read_table(chain.augmented(key)["synthetic"], "synthetic")
    (receipt,) = read_table(chain.augmented(key)["receipt"], "receipt").to_dict("records")
    kept = rows[rows["kept"]]
    assert len(kept) >= 1
    assert kept["text"].str.strip().str.len().gt(0).all()
    sources = {"paraphrase": "example", "promptmix": "relabeled by llm", "backtranslate": "source"}
    assert set(kept["label_source"]) == {sources.get(method, "asked")}
    assert set(kept["label"]) <= {"negative", "positive"}
    assert rows["id"].is_unique
    ids = {*read_table(chain.drawn(key)["train"], "train")["id"]}
    assert {one for row in rows["source_ids"] for one in row} <= ids
    # Equal questions of several rows were asked once, and nothing is asked twice.
    asked = receipt["requests_paid"] + receipt["requests_replayed"]
    if method in {"paraphrase", "promptmix"}:
        labels = len(kept) if method == "promptmix" else 0
        assert len({*rows["request_key"]}) + labels <= asked < len(rows) + labels
    first = chain.augmented(key)["synthetic"].read_bytes()
    if method != "paraphrase":  # one of them is enough: the store knows no methods
        return
    chain.augment(key)
    (again,) = read_table(chain.augmented(key)["receipt"], "receipt").to_dict("records")
    assert (again["requests_paid"], again["requests_replayed"]) == (0, asked)
    assert chain.augmented(key)["synthetic"].read_bytes() == first


def test_label_words_are_not_read_from_tokens(make_chain: MakeChain, cache: Path) -> None:
    def tokenized() -> int:
        stored = (cache / "requests").rglob("*.json.gz")
        paths = [json.loads(gzip.decompress(path.read_bytes()))["request"]["path"] for path in stored]
        return paths.count("/tokenize")

    chain, key = drawn(make_chain, "paraphrase")
    before = tokenized()
    chain.augment(key)
    assert tokenized() == before


def test_similar_rows_are_shown_together(make_chain: MakeChain) -> None:
    """The packaged encoder finds what is alike, through the step that hands it over."""
    texts = ["the film was wonderful", "a truly wonderful movie", "parsnips and turnips in winter", "boil the parsnips"]
    vectors = np.asarray(embed_texts(texts), dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[0, 1] > alike[0, 2]
    assert alike[2, 3] > alike[2, 0]
    overlay = {"one": {"method": "gpt3mix", "llm": "local", "examples": 2, "sampling": "closest"}}
    chain = make_chain(augmenters=overlay)
    chain.prepare()
    key = chain.key("one")
    chain.subsample(key)
    from hypermix.config import experiment

    slice_json = experiment.augment_slice(chain.config, "toy", "one")
    work = open_work(words(key, AUGMENTATION), slice_json, {"train": chain.drawn(key)["train"]})
    (request,) = plan(work.build(None, Tools(embed=embed_texts), offline=True), Slot(0, 0))
    assert sum(example.text in request.body["prompt"] for example in work.examples) == 2
