"""What a plan tells once answers are stored, and where rows are shared: never more than is asked then, nor less."""

from __future__ import annotations

from typing import Any

import pytest

from hypermix.errors import AugmentError
from hypermix.files import read_table
from hypermix.llm.store import RequestStore
from hypermix.report.forecast import Forecast, Span
from hypermix.steps.plan import forecast
from tests.integration.steps.chain import Chain, Key, MakeChain
from tests.integration.steps.planned import PROBES, answer_draw, line
from tests.integration.steps.speaker import Speaker


def receipt(chain: Chain, key: Key) -> dict[str, Any]:
    (row,) = read_table(chain.augmented(key)["receipt"], "receipt").to_dict("records")
    return {str(name): value for name, value in row.items()}


def run_all(chain: Chain, augmenter: str = "mix") -> dict[str, float]:
    """Run all augmentations and add their receipts up."""
    keys = [key for key in chain.runs if key["augmenter"] == augmenter]
    for key in keys:
        chain.augment(key)
    told = [receipt(chain, key) for key in keys]
    return {name: sum(one[name] for one in told) for name in told[0] if name != "llm"}


def check_bounds(before: Forecast, speaker: Speaker) -> None:
    """Check what was billed against what was told before."""
    amounts = [one.amount for one in before.lines]
    asked, prompt = len(speaker.requests), sum(tokens for tokens, _ in speaker.tokens)
    answers = sum(tokens for _, tokens in speaker.tokens)
    requests = [amount.requests for amount in amounts]
    assert sum(span.low for span in requests) <= asked <= sum(span.high for span in requests)
    assert sum(amount.prompt.low for amount in amounts) <= prompt <= sum(amount.prompt.high for amount in amounts)
    assert sum(amount.completion.low for amount in amounts) <= answers
    assert answers <= sum(amount.completion.high for amount in amounts)
    usd = [one.usd for one in before.lines if one.usd is not None]
    assert sum(span.low for span in usd) <= (prompt + 2 * answers) / 1e6 <= sum(span.high for span in usd)


# What the store has.


def check_told(chain: Chain, speaker: Speaker, before: Forecast) -> None:
    """Check what was told before a draw, and that afterwards nothing is left to ask."""
    assert len(speaker.requests) > 4
    check_bounds(before, speaker)
    after = forecast(chain.config)
    assert [one.augmenter for one in after.lines] == ["mix"]
    assert line(after).amount.requests == line(after).amount.tokens == line(after).usd == Span(0, 0)
    assert line(after).stored == len(speaker.requests) - PROBES
    assert not after.models["near"].assumed


@pytest.mark.parametrize("source", ["hard", "logprobs", "classify", "vote"])
@pytest.mark.parametrize("api", ["completions", "chat"])
def test_talks_ask_what_was_told(make_asking: MakeChain, speaker: Speaker, api: str, source: str) -> None:
    speaker.useless = 3
    mix = {"labels": "hard" if source == "hard" else "soft", "label_source": source}
    chain = make_asking(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": mix})
    before = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    check_told(chain, speaker, before)


@pytest.mark.parametrize("labels", ["soft", "hard"])
@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("source", ["hard", "logprobs"])
def test_relabeling_asks_what_was_told(
    make_asking: MakeChain, speaker: Speaker, api: str, labels: str, source: str
) -> None:
    speaker.useless = 3
    mix = {"labels": "hard" if source == "hard" else "soft", "label_source": source}
    relabel = {"by": "llm", "labels": labels, "examples": 2}
    chain = make_asking(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": {**mix, "relabel": relabel}})
    before = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    check_told(chain, speaker, before)


def test_a_method_that_asks_nobody_may_be_relabeled(make_asking: MakeChain, speaker: Speaker) -> None:
    relabel = {"by": "llm", "llm": "near", "labels": "hard", "examples": 1}
    mix = {"method": "eda", "synonyms": "embedding", "relabel": relabel, "alpha_replace": 0, "alpha_insert": 0}
    chain = make_asking(draw=(11,), augmenters={"mix": None, "changed": mix})
    amount = line(forecast(chain.config), "changed").amount.requests
    rows = len(read_table(chain.drawn(chain.key("changed"))["train"], "train"))
    assert 0 < amount.low <= rows <= amount.high
    assert speaker.requests == []


def test_refused_rows_are_asked_for_again_as_told(make_asking: MakeChain, speaker: Speaker) -> None:
    # All rows are positive, and only half of them may be.
    mix = {"labels": "hard", "attempts": 3, "filters": {"quota": 1.0}}
    chain = make_asking(draw=(11,), augmenters={"mix": mix})
    before = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    assert len(speaker.requests) == PROBES + 2 + 2 * 3
    check_told(chain, speaker, before)
    store = RequestStore(chain.cache / "requests")
    first = [key for key in [*store.keys()] if _is_of(store, key, "7-0-0")]
    assert len(first) == 1
    store.path(first[0]).unlink()
    told = line(forecast(chain.config)).amount.requests
    assert told.low == 1
    speaker.requests.clear()
    answer_draw(chain, chain.key("mix"), speaker)
    assert told.low <= len(speaker.requests) <= told.high


def _is_of(store: RequestStore, key: str, sample: str) -> bool:
    record = store.get(key)
    return record is not None and record.question.sample == sample


def test_a_run_asks_what_was_told(make_asking: MakeChain, speaker: Speaker) -> None:
    speaker.useless = 3
    chain = make_asking(draw=(11,), seeds={"data": [11]})
    before = forecast(chain.config)
    assert run_all(chain)["requests_paid"] == len(speaker.requests)
    check_told(chain, speaker, before)


def test_stored_and_open_are_all(make_asking: MakeChain, speaker: Speaker) -> None:
    chain = make_asking(augmenters={"mix": {"labels": "hard", "attempts": 1}})
    answer_draw(chain, chain.key("mix", 11), speaker)
    told = forecast(chain.config)
    assert (line(told).rows, line(told).stored) == (8, 4)
    assert line(told).amount.requests == Span(4, 4)
    speaker.requests.clear()
    answer_draw(chain, chain.key("mix", 12), speaker)
    assert len(speaker.requests) == 4


def test_larger_multiplier_asks_for_the_new_rows(make_asking: MakeChain, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    chain = make_asking(augmenters={"mix": mix})
    for key in (chain.key("mix", 11), chain.key("mix", 12)):
        answer_draw(chain, key, speaker)
    told = line(forecast(make_asking(augmenters={"mix": {**mix, "multiplier": 2.5}}).config))
    assert (told.rows, told.stored, told.amount.requests) == (20, 8, Span(12, 12))


def test_useless_answer_goes_on_with_the_next_try(make_asking: MakeChain, speaker: Speaker) -> None:
    speaker.useless = 1
    chain = make_asking(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 1}})
    with pytest.raises(AugmentError, match="none of 4 answers can be used"):
        answer_draw(chain, chain.key("mix"), speaker)
    assert line(forecast(chain.config)).amount.requests == Span(0, 0)
    more = make_asking(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 3}})
    assert line(forecast(more.config)).stored == 4
    assert line(forecast(more.config)).amount.requests == Span(4, 8)


def test_lost_answer_is_open_again(make_asking: MakeChain, speaker: Speaker) -> None:
    chain = make_asking(draw=(11,), augmenters={"mix": {"labels": "soft", "label_source": "classify"}})
    answer_draw(chain, chain.key("mix"), speaker)
    store = RequestStore(chain.cache / "requests")
    records = [record for record in map(store.get, store.keys()) if record is not None]
    labels = [record.question.key for record in records if record.question.sample.endswith("-label")]
    store.path(labels[0]).unlink()
    told = line(forecast(chain.config))
    assert (told.stored, told.amount.requests.low) == (7, 1)
    speaker.requests.clear()
    answer_draw(chain, chain.key("mix"), speaker)
    assert len(speaker.requests) == 1


def test_measured_tokens_make_prompts_narrow(make_asking: MakeChain, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    chain = make_asking(augmenters={"mix": mix})
    for seed in (11, 12):
        answer_draw(chain, chain.key("mix", seed), speaker)
    chain = make_asking(augmenters={"mix": {**mix, "multiplier": 3.0}})
    told = forecast(chain.config)
    assert not told.models["near"].guessed
    spread = line(told).amount.prompt
    assert spread.high / spread.low == pytest.approx(1.05 / 0.95, rel=0.02)
    speaker.requests.clear()
    speaker.tokens.clear()
    for seed in (11, 12):
        answer_draw(chain, chain.key("mix", seed), speaker)
    check_bounds(told, speaker)


# What is shared.


def test_trials_share_a_draw(make_asking: MakeChain, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    seeds = {"data": [11], "trials": [7, 8, 9]}
    alone = line(forecast(make_asking(seeds=seeds, augmenters={"mix": mix}).config))
    assert alone.amount.requests == Span(12, 12)
    chain = make_asking(seeds=seeds, augmenters={"mix": {**mix, "draw": "data_seed"}})
    shared = line(forecast(chain.config))
    assert (shared.rows, shared.amount.requests) == (12, Span(4, 4))
    paid = run_all(chain)
    assert (paid["requests_paid"] - PROBES, paid["requests_replayed"]) == (4, 8)


def test_augmenters_share_what_they_both_ask(make_asking: MakeChain, speaker: Speaker) -> None:
    hard = {"method": "gpt3mix", "llm": "near", "examples": 3, "max_tokens": 40, "labels": "hard"}
    voted = {**hard, "labels": "soft", "label_source": "vote"}
    chain = make_asking(draw=(11,), seeds={"data": [11]}, augmenters={"mix": None, "hard": hard, "voted": voted})
    told = forecast(chain.config)
    assert line(told, "hard").amount.requests == Span(4, 12)
    assert line(told, "voted").amount.requests == Span(4, 12)  # the votes alone
    for augmenter in ("hard", "voted"):
        answer_draw(chain, chain.key(augmenter), speaker)
    check_bounds(told, speaker)
    assert len(speaker.requests) == PROBES + 4 + 4


def test_classifiers_share_an_augmentation(make_asking: MakeChain) -> None:
    chain = make_asking(classifiers={"other": {"method": "finetune", "batch_size": 3}})
    assert line(forecast(chain.config)).rows == 8
