from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.errors import AugmentError, ConfigError
from hypermix.files import read_table
from hypermix.hashing import canonical_json
from hypermix.llm.client import Client
from hypermix.llm.probe import MOST_PROBES
from hypermix.llm.store import RequestStore
from hypermix.report.forecast import Forecast, Line, Span
from hypermix.steps.augment import open_work
from hypermix.steps.model import abilities, open_llm, open_store
from hypermix.steps.plan import PROBE, forecast
from hypermix.steps.rows import Rows
from tests.tiny import toy_rows, write_csv
from tests.unit.steps.chain import AUGMENTATION, SPLITS, Chain, Key, words
from tests.unit.steps.speaker import Speaker, SpeakerBackend, speaking

PROBES = 2
"""Requests that tell what an endpoint takes that takes all."""

PRICE = {"input": 1.0, "output": 2.0, "as_of": "2026-11-22", "source": "its page"}
Make = Callable[..., Chain]


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with speaking() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> Make:
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


def answer_draw(chain: Chain, key: Key, speaker: Speaker) -> None:
    """Make the rows of a draw in this process, so that their answers are stored."""
    slice_json = experiment.augment_slice(chain.config, key["dataset"], key["augmenter"])
    runtime = experiment.augment_runtime(chain.config, key["augmenter"], 1)
    work = open_work(words(key, AUGMENTATION), slice_json, {"train": chain.drawn(key)["train"]})
    settings = work.parts["llm"]
    llm = replace(open_llm(settings, runtime), open=lambda: nullcontext(SpeakerBackend(speaker)))
    with Client(llm, open_store(settings, runtime)) as client:
        Rows(work.build(abilities(settings, runtime, client)), work.sieve(), client).make()


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


# Before anything was asked.


def test_nothing_is_sent_or_written(make: Make, speaker: Speaker, tmp_path: Path) -> None:
    chain = make()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    forecast(chain.config)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert speaker.requests == []


def test_no_key_is_needed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chain = make(llms={"near": {"key": {"env": "NOWHERE_TO_BE_FOUND"}}})
    assert line(forecast(chain.config)).rows == 8


def test_bounds_count_every_request_that_is_known(make: Make) -> None:
    chain = make(augmenters={"mix": {"labels": "hard", "attempts": 3}})
    found = line(forecast(chain.config))
    assert (found.rows, found.stored, found.followed) == (8, 0, 0)
    assert found.amount.requests == Span(8, 24)
    assert found.amount.completion.high == 24 * 40
    assert found.usd is not None
    assert found.usd.high == pytest.approx((found.amount.prompt.high + 2 * 24 * 40) / 1e6)


def test_prompts_are_2_to_6_bytes_a_token(make: Make, speaker: Speaker) -> None:
    chain = make(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 1}})
    told = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    store = RequestStore(chain.cache / "requests")
    records = [record for record in map(store.get, store.keys()) if record is not None]
    shown = sum(
        len(record.question.body["prompt"].encode())
        for record in records
        if record.question.path == "/v1/completions" and record.question.sample != "probe"
    )
    assert line(told).amount.prompt.low == shown // 6
    assert line(told).amount.prompt.high == pytest.approx(shown / 2 + 4 * 32, abs=1)


@pytest.mark.parametrize(
    ("api", "source", "more", "low"),
    [
        ("completions", "hard", 0, 4),
        ("completions", "logprobs", 12, 4),
        ("completions", "classify", 13, 8),
        ("completions", "scoring", 2, 12),
        ("completions", "vote", 1, 8),
        ("chat", "logprobs", 0, 4),
        ("chat", "classify", 1, 8),
        ("chat", "vote", 1, 8),
        ("chat", "decisions", 1, 8),
    ],
)
def test_each_label_source_asks_what_it_must(make: Make, api: str, source: str, more: int, low: int) -> None:
    labels = "hard" if source == "hard" else "soft"
    mix = {"labels": labels, "label_source": source, "attempts": 2}
    chain = make(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": mix})
    found = line(forecast(chain.config))
    assert found.amount.requests == Span(low, 4 * 2 * (1 + more))
    assert found.followed == (4 * 2 * 12 if more >= 12 else 0)


def test_unprobed_model_is_told_with_its_probe(make: Make) -> None:
    told = forecast(make().config)
    assert told.models["near"].assumed
    assert [one.augmenter for one in told.lines] == [PROBE, "mix"]
    assert line(told, PROBE).amount.requests == Span(PROBES, MOST_PROBES)
    assert (line(told, PROBE).rows, line(told, PROBE).stored) == (0, 0)


def test_model_without_a_price_has_tokens_alone(make: Make) -> None:
    told = forecast(make(llms={"near": {"price": None}}).config)
    assert line(told).usd is None
    assert line(told).amount.tokens.low > 0
    assert told.models["near"].price is None


def test_price_is_told_with_its_day_and_source(make: Make) -> None:
    model = forecast(make().config).models["near"]
    assert (model.price, model.as_of, model.source) == ((1.0, 2.0), "2026-11-22", "its page")


def test_model_that_runs_here_costs_nothing(make: Make, tmp_path: Path) -> None:
    chain = make(llms={"near": None, "local": {"api": "embedded"}}, augmenters={"mix": {"llm": "local"}})
    told = forecast(chain.config)
    assert line(told).usd == Span(0.0, 0.0)
    assert line(told).amount.requests.low == 8
    assert told.models["local"].here
    assert told.account is None
    assert not (tmp_path / "cache").exists()  # the packaged model was not even joined


def test_experiment_without_a_language_model_has_no_line(make: Make) -> None:
    told = forecast(make(augmenters={"mix": None}).config)
    assert (told.lines, told.models, told.draws) == ([], {}, 0)


# What is not there yet.


def test_missing_draws_are_counted(make: Make) -> None:
    told = forecast(make(draw=(12,)).config)
    assert (told.missing, told.draws) == (1, 2)
    assert line(told).rows == 4
    none = forecast(make(draw=(), subsample={"train": ["3s"]}).config)
    assert (none.missing, none.draws, none.lines) == (2, 2, [])


def test_rows_of_small_files_are_drawn_aside(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is the one of the drawn rows, and nothing is left of it."""
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    chain = make()
    drawn = forecast(chain.config)
    shutil.rmtree(chain.results)
    before = sorted(tmp_path.rglob("*"))

    assert forecast(chain.config) == drawn
    assert drawn.missing == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_guessed_columns_are_told_whether_drawn_or_not(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    path = tmp_path / "train.csv"
    chain = make()
    shutil.rmtree(chain.results)
    path.write_text(path.read_text(encoding="utf-8").replace("text,label", "review,stars", 1), encoding="utf-8")
    split = {"validation": None, "test": None, "split": "repeated"}
    chain = Chain(chain.results, chain.cache, merge(chain.raw, {"datasets": {"toy": split}}))
    notes = forecast(chain.config).notes

    assert notes == [
        "toy: the texts are taken from the column 'review', the labels from 'stars' (guessed: set the keys text and "
        "label if that is wrong)."
    ]
    chain.prepare()
    for seed in (11, 12):
        chain.subsample({"dataset": "toy", "subsample": "2s", "data_seed": seed})
    assert forecast(chain.config).notes == notes


@pytest.mark.parametrize(("words", "told"), [({}, 1), ({"1": "bad", "5.5": "good"}, 0)])
def test_labels_that_are_numbers_are_told(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, str], told: int
) -> None:
    """A language model is shown a label by its word."""
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    chain = make(datasets={"toy": {"label_words": words}})
    shutil.rmtree(chain.results)
    for split in SPLITS:
        path = tmp_path / f"{split}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(",positive", ",5.5").replace(",negative", ",1"))
    notes = forecast(chain.config).notes

    assert (
        notes
        == ["toy: the labels 1, 5.5 are numbers, which tell a language model little; name them with label_words."][
            :told
        ]
    )


def test_rows_that_will_be_drawn_anew_count_as_missing(make: Make) -> None:
    make()
    told = forecast(make(draw=(), subsample={"validation": "3s"}).config)
    assert (told.missing, told.draws, told.lines) == (2, 2, [])


def test_too_many_examples_are_told(make: Make) -> None:
    with pytest.raises(AugmentError, match="a prompt of 9 examples needs as many rows"):
        forecast(make(augmenters={"mix": {"examples": 9}}).config)


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
def test_talks_ask_what_was_told(make: Make, speaker: Speaker, api: str, source: str) -> None:
    speaker.useless = 3
    mix = {"labels": "hard" if source == "hard" else "soft", "label_source": source}
    chain = make(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": mix})
    before = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    check_told(chain, speaker, before)


@pytest.mark.parametrize("labels", ["soft", "hard"])
@pytest.mark.parametrize("api", ["completions", "chat"])
@pytest.mark.parametrize("source", ["hard", "logprobs"])
def test_relabeling_asks_what_was_told(make: Make, speaker: Speaker, api: str, labels: str, source: str) -> None:
    speaker.useless = 3
    mix = {"labels": "hard" if source == "hard" else "soft", "label_source": source}
    relabel = {"by": "llm", "labels": labels, "examples": 2}
    chain = make(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": {**mix, "relabel": relabel}})
    before = forecast(chain.config)
    answer_draw(chain, chain.key("mix"), speaker)
    check_told(chain, speaker, before)


def test_a_method_that_asks_nobody_may_be_relabeled(make: Make, speaker: Speaker) -> None:
    relabel = {"by": "llm", "llm": "near", "labels": "hard", "examples": 1}
    mix = {"method": "eda", "synonyms": "embedding", "relabel": relabel, "alpha_replace": 0, "alpha_insert": 0}
    chain = make(draw=(11,), augmenters={"mix": None, "changed": mix})
    amount = line(forecast(chain.config), "changed").amount.requests
    rows = len(read_table(chain.drawn(chain.key("changed"))["train"], "train"))
    assert 0 < amount.low <= rows <= amount.high
    assert speaker.requests == []


def test_refused_rows_are_asked_for_again_as_told(make: Make, speaker: Speaker) -> None:
    # All rows are positive, and only half of them may be.
    mix = {"labels": "hard", "attempts": 3, "filters": {"quota": 1.0}}
    chain = make(draw=(11,), augmenters={"mix": mix})
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


def test_a_run_asks_what_was_told(make: Make, speaker: Speaker) -> None:
    speaker.useless = 3
    chain = make(draw=(11,), seeds={"data": [11]})
    before = forecast(chain.config)
    assert run_all(chain)["requests_paid"] == len(speaker.requests)
    check_told(chain, speaker, before)


def test_stored_and_open_are_all(make: Make, speaker: Speaker) -> None:
    chain = make(augmenters={"mix": {"labels": "hard", "attempts": 1}})
    answer_draw(chain, chain.key("mix", 11), speaker)
    told = forecast(chain.config)
    assert (line(told).rows, line(told).stored) == (8, 4)
    assert line(told).amount.requests == Span(4, 4)
    speaker.requests.clear()
    answer_draw(chain, chain.key("mix", 12), speaker)
    assert len(speaker.requests) == 4


def test_larger_multiplier_asks_for_the_new_rows(make: Make, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    chain = make(augmenters={"mix": mix})
    for key in (chain.key("mix", 11), chain.key("mix", 12)):
        answer_draw(chain, key, speaker)
    told = line(forecast(make(augmenters={"mix": {**mix, "multiplier": 2.5}}).config))
    assert (told.rows, told.stored, told.amount.requests) == (20, 8, Span(12, 12))


def test_useless_answer_goes_on_with_the_next_try(make: Make, speaker: Speaker) -> None:
    speaker.useless = 1
    chain = make(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 1}})
    with pytest.raises(AugmentError, match="none of 4 answers can be used"):
        answer_draw(chain, chain.key("mix"), speaker)
    assert line(forecast(chain.config)).amount.requests == Span(0, 0)
    more = make(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 3}})
    assert line(forecast(more.config)).stored == 4
    assert line(forecast(more.config)).amount.requests == Span(4, 8)


def test_lost_answer_is_open_again(make: Make, speaker: Speaker) -> None:
    chain = make(draw=(11,), augmenters={"mix": {"labels": "soft", "label_source": "classify"}})
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


def test_measured_tokens_make_prompts_narrow(make: Make, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    chain = make(augmenters={"mix": mix})
    for seed in (11, 12):
        answer_draw(chain, chain.key("mix", seed), speaker)
    chain = make(augmenters={"mix": {**mix, "multiplier": 3.0}})
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


def test_trials_share_a_draw(make: Make, speaker: Speaker) -> None:
    mix = {"labels": "hard", "attempts": 1}
    seeds = {"data": [11], "trials": [7, 8, 9]}
    alone = line(forecast(make(seeds=seeds, augmenters={"mix": mix}).config))
    assert alone.amount.requests == Span(12, 12)
    chain = make(seeds=seeds, augmenters={"mix": {**mix, "draw": "data_seed"}})
    shared = line(forecast(chain.config))
    assert (shared.rows, shared.amount.requests) == (12, Span(4, 4))
    paid = run_all(chain)
    assert (paid["requests_paid"] - PROBES, paid["requests_replayed"]) == (4, 8)


def test_augmenters_share_what_they_both_ask(make: Make, speaker: Speaker) -> None:
    hard = {"method": "gpt3mix", "llm": "near", "examples": 3, "max_tokens": 40, "labels": "hard"}
    voted = {**hard, "labels": "soft", "label_source": "vote"}
    chain = make(draw=(11,), seeds={"data": [11]}, augmenters={"mix": None, "hard": hard, "voted": voted})
    told = forecast(chain.config)
    assert line(told, "hard").amount.requests == Span(4, 12)
    assert line(told, "voted").amount.requests == Span(4, 12)  # the votes alone
    for augmenter in ("hard", "voted"):
        answer_draw(chain, chain.key(augmenter), speaker)
    check_bounds(told, speaker)
    assert len(speaker.requests) == PROBES + 4 + 4


def test_classifiers_share_an_augmentation(make: Make) -> None:
    chain = make(classifiers={"other": {"method": "finetune", "batch_size": 3}})
    assert line(forecast(chain.config)).rows == 8


# The budget.


def test_spending_so_far_is_that_of_the_experiment(make: Make, speaker: Speaker) -> None:
    chain = make(draw=(11,), budget={"requests": 100})
    assert forecast(chain.config).account is not None
    chain.augment(chain.key("mix"))
    account = forecast(chain.config).account
    assert account is not None
    assert account.caps == {"requests": 100}
    prompt, answers = (sum(tokens) for tokens in zip(*speaker.tokens, strict=True))
    assert account.spent["requests"] == len(speaker.requests)
    assert account.spent["tokens"] == prompt + answers
    assert account.spent["usd"] == pytest.approx((prompt + 2 * answers) / 1e6)


def test_models_that_run_here_are_not_of_the_budget(make: Make) -> None:
    local = {"method": "gpt3mix", "llm": "local", "examples": 3}
    told = forecast(make(llms={"local": {"api": "embedded"}}, augmenters={"here": local}).config)
    assert {one.llm for one in told.hosted} == {"near"}
    assert {one.llm for one in told.lines} == {"near", "local"}


def test_equal_experiments_have_equal_plans(make: Make) -> None:
    first, second = (canonical_json(asdict(forecast(make().config))) for _ in range(2))
    assert first == second


def test_model_whose_files_are_not_here_is_all_open(make: Make, tmp_path: Path) -> None:
    llms = {"near": None, "big": {"api": "transformers", "model": str(tmp_path / "nowhere")}}
    told = forecast(make(llms=llms, augmenters={"mix": {"llm": "big"}}).config)
    assert (line(told).rows, line(told).stored, line(told).amount.requests.low) == (8, 0, 8)
    assert line(told).usd == Span(0, 0)


# export


def test_rows_of_an_export_are_counted_on_request(make: Make) -> None:
    chain = make(export={"augmenter": "mix"})
    before = line(forecast(chain.config))
    missing = forecast(chain.config, export=True)
    assert (missing.missing, missing.draws, missing.export) == (1, 3, True)
    assert line(missing).rows == before.rows

    chain.subsample({"dataset": "toy", "subsample": experiment.WHOLE, "data_seed": 11})
    told = forecast(chain.config, export=True)
    assert told.missing == 0
    assert line(told).rows == before.rows + 24  # a row for each row of train
    assert line(told).amount.requests.low > line(forecast(chain.config)).amount.requests.low


def test_an_export_that_asks_nothing_adds_nothing(make: Make) -> None:
    chain = make(export={"augmenter": "none"})

    assert forecast(chain.config, export=True).lines == forecast(chain.config).lines


def test_plan_of_an_unknown_export_is_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"export\.augmenter: is null"):
        forecast(make().config, export=True)


def test_plan_of_the_paper_tells_requests_as_soon_as_rows_are_drawn(make: Make, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3] / "config"
    files = [root / "config.yaml", root / "presets" / "gpt3mix-paper.yaml"]
    paper = merge(*(yaml.safe_load(path.read_text(encoding="utf-8")) for path in files))
    toy = make().raw
    others = dict.fromkeys(paper["datasets"])
    own = {"datasets": {**others, **toy["datasets"]}, **{name: toy[name] for name in ("results", "cache")}}
    chain = Chain(tmp_path / "results", tmp_path / "cache", merge(paper, own))
    chain.prepare()
    before = forecast(chain.config)
    drawn = {"dataset": "toy", "subsample": "0.01f", "data_seed": chain.runs[0]["data_seed"]}
    chain.subsample(drawn)
    told = forecast(chain.config)

    assert not before.lines
    asked = line(told, "gpt3mix")
    assert (asked.llm, asked.rows) == ("writer", 2)  # at least one row a class, and as many synthetic ones
    assert asked.amount.requests.low == 2
