from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hypermix import tables
from hypermix.augment.base import AUGMENTERS, Material, Slot
from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.errors import AugmentError, LlmError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.llm.client import Client
from hypermix.llm.embedded import embedded_llm
from hypermix.llm.store import Answer, Question, Record, RequestStore
from hypermix.records import Abilities, Example, SyntheticRow, Task
from hypermix.steps.augment import _check_words, refuse_mixed
from tests.gguf import CONTEXT
from tests.integration.steps.chain import Chain, Key, MakeChain
from tests.loopback import completion
from tests.unit.augment.playing import plan

PACKAGED = {"local": {"model": "package:gemma3-270m", "context": CONTEXT}}
"""The llm of tests in which the model must write the labels of its prompt, or whose tokens matter."""


def synthetic(chain: Chain, key: Key) -> Any:
    return read_table(chain.augmented(key)["synthetic"], "synthetic")


def receipt(chain: Chain, key: Key) -> dict[str, Any]:
    (row,) = read_table(chain.augmented(key)["receipt"], "receipt").to_dict("records")
    return {str(name): value for name, value in row.items()}


def drawn_chain(make_chain: MakeChain, augmenter: str, **overlay: Any) -> tuple[Chain, Key]:
    chain = make_chain(**overlay)
    chain.prepare()
    key = chain.key(augmenter)
    chain.subsample(key)
    return chain, key


def answers(cache: Path) -> dict[Path, int]:
    """Return the stored answers of the language model, without those of its tokenizer, by when they came."""
    paths = sorted((cache / "requests").rglob("*.json.gz"))
    asked = {path: json.loads(gzip.decompress(path.read_bytes()))["request"]["path"] for path in paths}
    return {path: path.stat().st_mtime_ns for path in paths if asked[path] != "/tokenize"}


# The controls.


def test_no_augmentation_has_no_rows(done: Chain) -> None:
    key = done.key("none")
    assert len(synthetic(done, key)) == 0
    found = receipt(done, key)
    assert (found["rows_wanted"], found["rows_kept"], found["requests_paid"]) == (0, 0, 0)
    assert pd.isna(found["llm"])


def test_real_rows_are_those_of_train_that_were_not_drawn(done: Chain, tmp_path: Path) -> None:
    results = Path(shutil.copytree(done.results, tmp_path / "results"))
    chain = Chain(results, done.cache, merge(done.raw, {"augmenters": {"more": {"method": "real"}}}))
    key = {**done.key("none"), "augmenter": "more"}
    chain.augment(key)
    rows = synthetic(chain, key)
    drawn = read_table(chain.drawn(key)["train"], "train")
    whole = read_table(chain.prepared(key)["train"], "train")
    assert len(rows) == len(drawn)
    assert rows["kept"].all()
    assert {ids[0] for ids in rows["source_ids"]} <= set(whole["id"]) - set(drawn["id"])
    assert Counter(rows["label"]) == Counter(drawn["label"])
    assert set(read_provenance(chain.augmented(key)["synthetic"])["inputs"]) == {"train", "further"}


def test_real_rows_are_no_test_rows_where_splits_are_drawn_anew(make_chain: MakeChain) -> None:
    """There all rows of the dataset are train rows of `prepare`."""
    overlay = {"datasets": {"toy": {"split": "repeated", "test": None, "validation": None}}}
    augmenters = {"mix": None, "more": {"method": "real", "multiplier": 9.0}}
    chain, key = drawn_chain(make_chain, "more", **overlay, augmenters=augmenters, **{"except": []})
    chain.augment(key)
    rows = synthetic(chain, key)
    used = {ids[0] for ids in rows.loc[rows["kept"], "source_ids"]}
    for split, path in chain.drawn(key).items():
        drawn = set(read_table(path, split)["id"])
        assert drawn
        assert not used & drawn
    assert used


def test_duplicates_are_the_drawn_rows(done: Chain) -> None:
    key = done.key("duplicate")
    rows = synthetic(done, key)
    train = read_table(done.drawn(key)["train"], "train")
    assert sorted(rows["text"]) == sorted(train["text"])
    assert sorted(ids[0] for ids in rows["source_ids"]) == sorted(train["id"])
    assert rows["kept"].all()
    assert rows["llm"].isna().all()
    assert {tuple(soft) for soft in rows["soft_label"]} == {(1.0, 0.0), (0.0, 1.0)}


def test_controls_touch_no_store(make_chain: MakeChain, tmp_path: Path) -> None:
    chain, key = drawn_chain(make_chain, "duplicate")
    Chain(chain.results, tmp_path / "cache", chain.raw).augment(key)
    assert not (tmp_path / "cache").exists()


# A real language model.


def test_rows_are_by_the_language_model(done: Chain) -> None:
    key = done.key("mix")
    rows = synthetic(done, key)
    kept = rows[rows["kept"]]
    assert len(kept) >= 1
    assert set(rows["llm"]) == {"local"}
    assert set(kept["label"]) <= {"negative", "positive"}
    assert set(kept["label_source"]) == {"logprobs"}
    assert kept["reason"].isna().all()
    assert rows.loc[~rows["kept"], "reason"].notna().all()


def test_soft_labels_are_probabilities(done: Chain) -> None:
    rows = synthetic(done, done.key("mix"))
    for soft, mass in rows.loc[rows["kept"], ["soft_label", "label_mass"]].itertuples(index=False):
        assert sum(soft) == pytest.approx(1.0)
        assert 0.0 < min(soft) < max(soft) < 1.0
        assert 0.0 < mass <= 1.0


def test_rows_name_their_sources(done: Chain) -> None:
    key = done.key("mix")
    train = set(read_table(done.drawn(key)["train"], "train")["id"])
    for ids in synthetic(done, key)["source_ids"]:
        assert len(set(ids)) == 3
        assert set(ids) <= train


def test_every_answer_is_in_the_store(done: Chain, cache: Path) -> None:
    rows = synthetic(done, done.key("mix"))
    for key in rows["request_key"]:
        record = RequestStore(cache / "requests").get(key)
        assert record is not None
        assert record.question.body["logprobs"] == 20
        assert record.question.body["model"] == "writer"


def test_receipt_counts_the_first_run(done: Chain) -> None:
    key = done.key("mix")
    found, rows = receipt(done, key), synthetic(done, key)
    assert found["requests_paid"] == len(rows)
    assert found["requests_replayed"] == found["requests_unknown"] == 0
    assert found["prompt_tokens"] > 20 * len(rows)
    assert found["completion_tokens"] > len(rows)
    assert (found["llm"], found["usd"]) == ("local", 0.0)
    assert (found["rows_wanted"], found["rows_kept"]) == (4, rows["kept"].sum())
    assert found["seconds"] > 0.0


def test_second_run_asks_nothing(done: Chain, make_chain: MakeChain, cache: Path) -> None:
    before = answers(cache)
    chain, key = drawn_chain(make_chain, "mix")
    chain.augment(key)
    found, first = receipt(chain, key), receipt(done, key)
    assert found["requests_paid"] == 0
    assert found["prompt_tokens"] == first["prompt_tokens"]  # what is behind the rows, paid now or before
    assert found["requests_replayed"] == first["requests_paid"]
    assert answers(cache) == before
    one, other = (path.augmented(key)["synthetic"].read_bytes() for path in (done, chain))
    assert one == other


def test_no_usable_answer_shows_three(make_chain: MakeChain, cache: Path) -> None:
    # One token is too short for any label.
    chain, key = drawn_chain(make_chain, "mix", augmenters={"mix": {"max_tokens": 1, "attempts": 1}})
    before = answers(cache)
    with pytest.raises(AugmentError, match=r"none of 4 answers can be used; the first are\n") as caught:
        chain.augment(key)
    _, *shown, advice = str(caught.value).splitlines()
    assert len(shown) == 3
    assert all(line.startswith("  '") and line.endswith("' (cut off)") for line in shown)
    assert advice == "raise the augmenter's max_tokens; stored answers cost nothing again"
    after = answers(cache)
    assert len(after) == len(before) + 4
    assert not any(path.exists() for path in chain.augmented(key).values())
    with pytest.raises(AugmentError) as again:
        chain.augment(key)
    assert str(again.value) == str(caught.value)
    assert answers(cache) == after


def test_too_small_a_context_is_told(make_chain: MakeChain) -> None:
    long = " ".join(["fine"] * 400)
    chain = make_chain(llms={"local": {"context": 128}}, datasets={"toy": {"text_type": long}})
    chain.prepare()
    key = chain.key("mix")
    chain.subsample(key)
    with pytest.raises(LlmError, match=r"a request is too long: .*raise the llm's context"):
        chain.augment(key)


def questions(chain: Chain, key: Key, slots: Sequence[Slot]) -> list[Question]:
    """Return what is asked for some rows."""
    settings = json.loads(experiment.augment_slice(chain.config, "toy", "mix"))["augmenter"]
    task = Task("movie review", "sentiment", {"negative": "negative", "positive": "positive"})
    train = read_table(chain.drawn(key)["train"], "train")
    examples = [Example(*row) for row in train.itertuples(index=False, name=None)]
    local = chain.config.llms["local"]
    llm = embedded_llm(Path(local.model), local.context, 1)
    augmenter = AUGMENTERS.get("gpt3mix")(settings, Material(examples, task, key["trial"], Abilities()))
    planned = [request for slot in slots for request in plan(augmenter, slot)]
    bodies = [{"model": llm.name, **request.body} for request in planned]
    samples = [request.sample for request in planned]
    return [Question(llm.identity, "/v1/completions", *pair) for pair in zip(bodies, samples, strict=True)]


def store_answers(chain: Chain, key: Key, texts: dict[Slot, str]) -> None:
    """Put answers into the store as if they had been asked for."""
    for question, text in zip(questions(chain, key, list(texts)), texts.values(), strict=True):
        RequestStore(chain.cache / "requests").put(Record(question, Answer(completion(text))))


def test_shortfall_is_told_and_kept(make_chain: MakeChain, caplog: pytest.LogCaptureFixture) -> None:
    # Row 1 comes at the second try, row 3 never.
    chain, key = drawn_chain(make_chain, "mix", augmenters={"mix": {"labels": "hard", "attempts": 2, "top_p": 0.5}})
    good = [f" a {word} film (Sentiment: Positive)" for word in ("bright", "dull", "long")]
    texts = {Slot(0, 0): good[0], Slot(1, 0): " no end", Slot(2, 0): good[1], Slot(3, 0): " (Sentiment: Positive)"}
    store_answers(chain, key, {**texts, Slot(1, 1): good[2], Slot(3, 1): " a film (Sentiment: Odd)"})
    with caplog.at_level(logging.WARNING, "hypermix"):
        chain.augment(key)
    assert caplog.messages == [
        "3 of 4 rows were made; the others could not be used in 2 tries (no label: 1, empty text: 1, unknown label: 1)"
    ]
    rows = synthetic(chain, key)
    assert rows["reason"].fillna("").tolist() == ["", "no label", "", "", "empty text", "unknown label"]
    assert rows["kept"].tolist() == [True, False, True, True, False, False]
    assert rows["id"].is_unique
    found = receipt(chain, key)
    assert (found["rows_wanted"], found["rows_kept"]) == (4, 3)
    assert (found["requests_paid"], found["requests_replayed"]) == (0, 6)


# Lost answers, and none at all.


def test_request_of_a_killed_job_is_counted(make_chain: MakeChain) -> None:
    overlay = {"mix": {"labels": "hard", "attempts": 1, "top_p": 0.25}}
    chain, key = drawn_chain(make_chain, "mix", augmenters=overlay)
    good = " a bright film (Sentiment: Positive)"
    store_answers(chain, key, {Slot(row, 0): good for row in range(3)})
    (question,) = questions(chain, key, [Slot(3, 0)])
    path = RequestStore(chain.cache / "requests").path(question.key).with_name(f"{question.key}.started")
    code = (
        "import sys; from pathlib import Path; from hypermix.llm.claim import take\n"
        "take(Path(sys.argv[1]), lambda: None)"
    )
    path.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True)
    assert path.exists()
    chain.augment(key)
    found = receipt(chain, key)
    assert (found["requests_paid"], found["requests_replayed"], found["requests_unknown"]) == (1, 3, 1)
    assert not path.exists()


def test_offline_replays_and_stops_at_the_first_missing_row(make_chain: MakeChain) -> None:
    overlay = {"mix": {"labels": "hard", "attempts": 1, "top_p": 0.75}}
    chain, key = drawn_chain(make_chain, "mix", augmenters=overlay, offline=True)
    good = [f" a {word} film (Sentiment: Positive)" for word in ("bright", "dull", "good", "long")]
    store_answers(chain, key, {Slot(row, 0): good[row] for row in (0, 1, 3)})
    (question,) = questions(chain, key, [Slot(2, 0)])
    with pytest.raises(LlmError, match=f"offline: the answer to request {question.key} \\(sample {question.sample}, "):
        chain.augment(key)
    store_answers(chain, key, {Slot(2, 0): good[2]})
    chain.augment(key)
    found = receipt(chain, key)
    assert (found["requests_paid"], found["requests_replayed"], found["rows_kept"]) == (0, 4, 4)


# Label words.


@pytest.fixture
def client(gemma: Path, cache: Path) -> Iterator[Client]:
    with Client(embedded_llm(gemma, CONTEXT, 1), RequestStore(cache / "requests")) as opened:
        yield opened


def test_provenance_has_the_tokens_of_the_words(done: Chain) -> None:
    wanted = [["negative", "negative", [" Negative"]], ["positive", "positive", [" Positive"]]]
    for augmenter, words in (("mix", wanted), ("duplicate", None), ("none", None)):
        for path in done.augmented(done.key(augmenter)).values():
            assert read_provenance(path)["words"] == words


def test_long_word_is_told_and_used(make_chain: MakeChain, caplog: pytest.LogCaptureFixture) -> None:
    words = {"negative": "sci/TECH", "positive": "world"}
    few = {"mix": {"multiplier": 0.5, "max_tokens": 20}}
    overlay = {"datasets": {"toy": {"label_words": words}}, "augmenters": few, "llms": PACKAGED}
    chain, key = drawn_chain(make_chain, "mix", **overlay)
    with caplog.at_level(logging.WARNING, "hypermix"):
        chain.augment(key)
    assert caplog.messages[:1] == [
        "the label word 'Sci/tech' is 3 tokens: where it is not written, 2 more requests a row may score it whole"
    ]
    assert read_provenance(chain.augmented(key)["synthetic"])["words"] == [
        ["negative", "sci/TECH", [" Sci", "/", "tech"]],
        ["positive", "world", [" World"]],
    ]
    soft = synthetic(chain, key).loc[lambda rows: rows["kept"], "soft_label"]
    assert len(soft) >= 1
    assert all(0.0 < min(shares) < 1.0 for shares in soft)


@pytest.mark.parametrize(("negative", "positive"), [("10", "11"), ("new", "new york"), ("abbreviation", "absolute")])
def test_words_that_begin_alike_are_scored_whole(make_chain: MakeChain, negative: str, positive: str) -> None:
    words = {"negative": negative, "positive": positive}
    few = {"mix": {"multiplier": 0.5, "max_tokens": 20}}
    overlay = {"datasets": {"toy": {"label_words": words}}, "augmenters": few, "llms": PACKAGED}
    chain, key = drawn_chain(make_chain, "mix", **overlay)
    chain.augment(key)
    kept = synthetic(chain, key).loc[lambda rows: rows["kept"]]
    assert len(kept) >= 2
    assert all(sum(shares) == pytest.approx(1.0) and min(shares) > 0.0 for shares in kept["soft_label"])
    assert len({tuple(shares) for shares in kept["soft_label"]}) >= len(kept) // 2
    if not (negative + positive).isdigit():  # the ends of words that were not written are asked for
        assert receipt(chain, key)["requests_paid"] > len(synthetic(chain, key))


FOUR = Task("question", "type", {"a": "abbreviation", "b": "absolute", "c": "human", "d": "number"})


def test_long_words_are_told(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hypermix"):
        words = _check_words(client, FOUR, {"method": "gpt3mix", "labels": "soft"})
    assert caplog.messages == [
        "the label word 'Abbreviation' is 2 tokens: where it is not written, 1 more request a row may score it whole"
    ]
    assert [label for label, _, pieces in words if len(pieces) == 1] == ["b", "c", "d"]


def test_hard_labels_have_no_problem(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hypermix"):
        words = _check_words(client, FOUR, {"method": "gpt3mix", "labels": "hard"}) or []
        assert words[0] == ["a", "abbreviation", [" Ab", "breviation"]]
    assert caplog.messages == []


def test_checking_words_is_not_counted(client: Client) -> None:
    _check_words(client, FOUR, {"method": "gpt3mix", "labels": "soft"})
    assert (client.usage.paid, client.usage.replayed, client.usage.tokens.total) == (0, 0, 0)


@pytest.mark.parametrize(("reason", "refused"), [(None, True), ("no label", False)])
def test_label_sources_are_never_mixed(reason: str | None, refused: bool) -> None:
    row = SyntheticRow(0, "a film", "positive", (0.2, 0.8), "logprobs", 0.9, ("a",), "key", None)
    rows = [row, replace(row, index=1, label_source="vote", reason=reason)]
    with pytest.raises(AugmentError, match="come from logprobs, vote; one") if refused else nullcontext():
        refuse_mixed(rows)


# What it takes from the config and from the draw.


def test_unknown_label_word_is_refused(make_chain: MakeChain) -> None:
    words = {"positiv": "good", "negative": "bad"}
    chain, key = drawn_chain(make_chain, "mix", datasets={"toy": {"label_words": words}})
    with pytest.raises(AugmentError) as caught:
        chain.augment(key)
    assert str(caught.value) == (
        "label_words names the labels ['positiv'], which the dataset lacks; it has ['negative', 'positive']"
    )


@pytest.mark.parametrize(("draw", "equal"), [("data_seed", True), ("trial", False)])
def test_draw_decides_who_shares_rows(make_chain: MakeChain, draw: str, equal: bool) -> None:
    overlay = {"augmenters": {"duplicate": {"draw": draw, "multiplier": 3.0}}}
    chain, key = drawn_chain(make_chain, "duplicate", **overlay)
    texts = []
    for trial in (7, 8):
        chain.augment({**key, "trial": trial})
        texts.append(synthetic(chain, {**key, "trial": trial})["text"].tolist())
    assert (texts[0] == texts[1]) == equal


def test_provenance_holds_stages_so_far(done: Chain) -> None:
    for augmenter in ("none", "duplicate", "mix"):
        key = done.key(augmenter)
        for path in done.augmented(key).values():
            made = read_provenance(path)
            assert sorted(made["slices"]) == ["augment", "prepare", "subsample"]
            assert made["labels"] == ["negative", "positive"]
            assert made["keys"] == {name: value for name, value in key.items() if name != "classifier"}
            read = {"train": done.drawn(key)["train"]}
            if augmenter == "mix":
                read["tested"] = done.prepared(key)["test"]
            assert made["inputs"] == {name: file_digest(file) for name, file in read.items()}


def test_files_have_their_schemas(done: Chain) -> None:
    for augmenter in ("none", "duplicate", "mix"):
        for table, path in done.augmented(done.key(augmenter)).items():
            assert list(read_table(path, table)) == tables.schema(table).names


def test_ids_are_unique(done: Chain) -> None:
    for augmenter in ("duplicate", "mix"):
        assert synthetic(done, done.key(augmenter))["id"].is_unique
