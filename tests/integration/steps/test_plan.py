"""What a plan tells before anything is asked: of rows, label sources, prices, budgets and exports."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from hypermix.config import experiment
from hypermix.config.load import merge
from hypermix.errors import AugmentError, ConfigError
from hypermix.hashing import canonical_json
from hypermix.llm.probe import MOST_PROBES
from hypermix.llm.store import RequestStore
from hypermix.report.forecast import Span
from hypermix.steps.plan import PROBE, forecast
from tests.integration.steps.chain import SPLITS, Chain, MakeChain
from tests.integration.steps.planned import PROBES, answer_draw, line
from tests.integration.steps.speaker import Speaker

# Before anything was asked.


def test_nothing_is_sent_or_written(make_asking: MakeChain, speaker: Speaker, tmp_path: Path) -> None:
    chain = make_asking()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    forecast(chain.config)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert speaker.requests == []


def test_no_key_is_needed(make_asking: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chain = make_asking(llms={"near": {"key": {"env": "NOWHERE_TO_BE_FOUND"}}})
    assert line(forecast(chain.config)).rows == 8


def test_bounds_count_every_request_that_is_known(make_asking: MakeChain) -> None:
    chain = make_asking(augmenters={"mix": {"labels": "hard", "attempts": 3}})
    found = line(forecast(chain.config))
    assert (found.rows, found.stored, found.followed) == (8, 0, 0)
    assert found.amount.requests == Span(8, 24)
    assert found.amount.completion.high == 24 * 40
    assert found.usd is not None
    assert found.usd.high == pytest.approx((found.amount.prompt.high + 2 * 24 * 40) / 1e6)


def test_prompts_are_2_to_6_bytes_a_token(make_asking: MakeChain, speaker: Speaker) -> None:
    chain = make_asking(draw=(11,), augmenters={"mix": {"labels": "hard", "attempts": 1}})
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
def test_each_label_source_asks_what_it_must(
    make_asking: MakeChain, api: str, source: str, more: int, low: int
) -> None:
    labels = "hard" if source == "hard" else "soft"
    mix = {"labels": labels, "label_source": source, "attempts": 2}
    chain = make_asking(draw=(11,), llms={"near": {"api": api}}, augmenters={"mix": mix})
    found = line(forecast(chain.config))
    assert found.amount.requests == Span(low, 4 * 2 * (1 + more))
    assert found.followed == (4 * 2 * 12 if more >= 12 else 0)


def test_unprobed_model_is_told_with_its_probe(make_asking: MakeChain) -> None:
    told = forecast(make_asking().config)
    assert told.models["near"].assumed
    assert [one.augmenter for one in told.lines] == [PROBE, "mix"]
    assert line(told, PROBE).amount.requests == Span(PROBES, MOST_PROBES)
    assert (line(told, PROBE).rows, line(told, PROBE).stored) == (0, 0)


def test_model_without_a_price_has_tokens_alone(make_asking: MakeChain) -> None:
    told = forecast(make_asking(llms={"near": {"price": None}}).config)
    assert line(told).usd is None
    assert line(told).amount.tokens.low > 0
    assert told.models["near"].price is None


def test_price_is_told_with_its_day_and_source(make_asking: MakeChain) -> None:
    model = forecast(make_asking().config).models["near"]
    assert (model.price, model.as_of, model.source) == ((1.0, 2.0), "2026-11-22", "its page")


def test_model_that_runs_here_costs_nothing(make_asking: MakeChain, tmp_path: Path) -> None:
    chain = make_asking(llms={"near": None, "local": {"api": "embedded"}}, augmenters={"mix": {"llm": "local"}})
    told = forecast(chain.config)
    assert line(told).usd == Span(0.0, 0.0)
    assert line(told).amount.requests.low == 8
    assert told.models["local"].here
    assert told.account is None
    assert not (tmp_path / "cache").exists()  # the packaged model was not even joined


def test_experiment_without_a_language_model_has_no_line(make_asking: MakeChain) -> None:
    told = forecast(make_asking(augmenters={"mix": None}).config)
    assert (told.lines, told.models, told.draws) == ([], {}, 0)


# What is not there yet.


def test_missing_draws_are_counted(make_asking: MakeChain) -> None:
    told = forecast(make_asking(draw=(12,)).config)
    assert (told.missing, told.draws) == (1, 2)
    assert line(told).rows == 4
    none = forecast(make_asking(draw=(), subsample={"train": ["3s"]}).config)
    assert (none.missing, none.draws, none.lines) == (2, 2, [])


def test_rows_of_small_files_are_drawn_aside(
    make_asking: MakeChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is the one of the drawn rows, and nothing is left of it."""
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    chain = make_asking()
    drawn = forecast(chain.config)
    shutil.rmtree(chain.results)
    before = sorted(tmp_path.rglob("*"))

    assert forecast(chain.config) == drawn
    assert drawn.missing == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_guessed_columns_are_told_whether_drawn_or_not(
    make_asking: MakeChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    path = tmp_path / "train.csv"
    chain = make_asking()
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
    make_asking: MakeChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, str], told: int
) -> None:
    """A language model is shown a label by its word."""
    monkeypatch.setattr("hypermix.steps.aside.MOST_BYTES", 10_000)
    chain = make_asking(datasets={"toy": {"label_words": words}})
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


def test_rows_that_will_be_drawn_anew_count_as_missing(make_asking: MakeChain) -> None:
    make_asking()
    told = forecast(make_asking(draw=(), subsample={"validation": "3s"}).config)
    assert (told.missing, told.draws, told.lines) == (2, 2, [])


def test_too_many_examples_are_told(make_asking: MakeChain) -> None:
    with pytest.raises(AugmentError, match="a prompt of 9 examples needs as many rows"):
        forecast(make_asking(augmenters={"mix": {"examples": 9}}).config)


# The budget.


def test_spending_so_far_is_that_of_the_experiment(make_asking: MakeChain, speaker: Speaker) -> None:
    chain = make_asking(draw=(11,), budget={"requests": 100})
    assert forecast(chain.config).account is not None
    chain.augment(chain.key("mix"))
    account = forecast(chain.config).account
    assert account is not None
    assert account.caps == {"requests": 100}
    prompt, answers = (sum(tokens) for tokens in zip(*speaker.tokens, strict=True))
    assert account.spent["requests"] == len(speaker.requests)
    assert account.spent["tokens"] == prompt + answers
    assert account.spent["usd"] == pytest.approx((prompt + 2 * answers) / 1e6)


def test_models_that_run_here_are_not_of_the_budget(make_asking: MakeChain) -> None:
    local = {"method": "gpt3mix", "llm": "local", "examples": 3}
    told = forecast(make_asking(llms={"local": {"api": "embedded"}}, augmenters={"here": local}).config)
    assert {one.llm for one in told.hosted} == {"near"}
    assert {one.llm for one in told.lines} == {"near", "local"}


def test_equal_experiments_have_equal_plans(make_asking: MakeChain) -> None:
    first, second = (canonical_json(asdict(forecast(make_asking().config))) for _ in range(2))
    assert first == second


def test_model_whose_files_are_not_here_is_all_open(make_asking: MakeChain, tmp_path: Path) -> None:
    llms = {"near": None, "big": {"api": "transformers", "model": str(tmp_path / "nowhere")}}
    told = forecast(make_asking(llms=llms, augmenters={"mix": {"llm": "big"}}).config)
    assert (line(told).rows, line(told).stored, line(told).amount.requests.low) == (8, 0, 8)
    assert line(told).usd == Span(0, 0)


# export


def test_rows_of_an_export_are_counted_on_request(make_asking: MakeChain) -> None:
    chain = make_asking(export={"augmenter": "mix"})
    before = line(forecast(chain.config))
    missing = forecast(chain.config, export=True)
    assert (missing.missing, missing.draws, missing.export) == (1, 3, True)
    assert line(missing).rows == before.rows

    chain.subsample({"dataset": "toy", "subsample": experiment.WHOLE, "data_seed": 11})
    told = forecast(chain.config, export=True)
    assert told.missing == 0
    assert line(told).rows == before.rows + 24  # a row for each row of train
    assert line(told).amount.requests.low > line(forecast(chain.config)).amount.requests.low


def test_an_export_that_asks_nothing_adds_nothing(make_asking: MakeChain) -> None:
    chain = make_asking(export={"augmenter": "none"})

    assert forecast(chain.config, export=True).lines == forecast(chain.config).lines


def test_plan_of_an_unknown_export_is_refused(make_asking: MakeChain) -> None:
    with pytest.raises(ConfigError, match=r"export\.augmenter: is null"):
        forecast(make_asking().config, export=True)
    with pytest.raises(ConfigError, match=r"run: snakemake choose --configfile 'a b\.yaml' c\.yaml$"):
        forecast(make_asking().config, export=True, files=["a b.yaml", "c.yaml"])


def test_plan_of_the_paper_tells_requests_as_soon_as_rows_are_drawn(make_asking: MakeChain, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3] / "config"
    files = [root / "config.yaml", root / "presets" / "gpt3mix-paper.yaml"]
    paper = merge(*(yaml.safe_load(path.read_text(encoding="utf-8")) for path in files))
    toy = make_asking().raw
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
