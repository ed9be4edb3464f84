from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hypermix import tables
from hypermix.augment.quality.catalog import NAMES
from hypermix.config.load import merge
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps.words import list_words, tell_word_problems
from tests.integration.steps.chain import AUGMENTATION, Chain, Key, MakeChain

TABLES = ("runs", "summary", "comparisons", "costs")


def other_config(done: Chain, results: Path | None = None, **overlay: Any) -> Chain:
    return Chain(results or done.results, done.cache, merge(done.raw, overlay))


def copied(chain: Chain, folder: Path, **overlay: Any) -> Chain:
    """Return an experiment with files of its own."""
    return other_config(chain, Path(shutil.copytree(chain.results, folder / "copied")), **overlay)


@pytest.fixture
def controls(done: Chain, tmp_path: Path) -> Chain:
    """Return the experiment without a language model, whose files a test may change."""
    return copied(done, tmp_path, augmenters={"mix": None}, **{"except": []})


# Tables.


def test_tables_have_their_schemas(done: Chain) -> None:
    for name in TABLES:
        assert list(read_table(done.aggregated()[name], name)) == tables.schema(name).names


def test_every_run_is_in_runs(done: Chain) -> None:
    runs = read_table(done.aggregated()["runs"], "runs")
    assert runs[list(tables.KEYS)].to_dict("records") == [dict(key) for key in done.runs]
    for position, key in enumerate(done.runs):
        assert runs["accuracy"].tolist()[position] == read_table(done.metrics(key), "metrics")["accuracy"].item()


def test_baselines_come_first_in_tables(done: Chain) -> None:
    for name in ("runs", "summary"):
        order = read_table(done.aggregated()[name], name)["augmenter"]
        assert list(dict.fromkeys(order)) == ["none", "duplicate", "mix"]


def test_summary_counts_seeds_and_runs(done: Chain) -> None:
    summary = read_table(done.aggregated()["summary"], "summary")
    counts = summary[summary["metric"] == "accuracy"].set_index("augmenter")
    assert counts["n_seeds"].to_dict() == {"none": 2, "duplicate": 2, "mix": 1}
    assert counts["n_runs"].to_dict() == {"none": 2, "duplicate": 2, "mix": 1}


def test_others_are_compared_with_controls(done: Chain) -> None:
    found = read_table(done.aggregated()["comparisons"], "comparisons")
    pairs = sorted({tuple(pair) for pair in found[["augmenter", "baseline"]].to_numpy().tolist()})
    assert pairs == [("duplicate", "none"), ("mix", "duplicate"), ("mix", "none")]
    assert set(found.loc[found["augmenter"] == "mix", "n_pairs"]) == {1}
    assert set(found.loc[found["augmenter"] == "duplicate", "n_pairs"]) == {2}


def test_bounds_are_compared_and_not_judged(make_chain: MakeChain) -> None:
    augmenters = {"mix": None, "most": {"method": "real"}, "least": {"method": "shuffle"}, "duplicate": None}
    chain = make_chain(augmenters={**augmenters, "copy": {"method": "duplicate"}}, **{"except": []})
    chain.prepare()
    for key in chain.runs:
        chain.up_to_train(key)
        chain.evaluate(key)
    aggregated = chain.aggregate()
    compared = read_table(aggregated["comparisons"], "comparisons")
    assert {"most", "least"} <= set(compared["augmenter"])
    verdict = json.loads(aggregated["verdict"].read_text(encoding="utf-8"))
    assert verdict["verdicts"] == []
    assert verdict["headline"].startswith("Nothing to compare: every augmenter is a baseline")
    page = aggregated["report"].read_text(encoding="utf-8")
    assert "most" in page


def test_every_measure_of_every_draw_is_in_quality(done: Chain) -> None:
    found = read_table(done.aggregated()["quality"], "all_quality")
    assert list(dict.fromkeys(found["augmenter"])) == ["none", "duplicate", "mix"]
    assert len(found) == len(done.runs) * len(NAMES)
    usable = found[found["measure"] == "usable_share"].set_index("augmenter")["value"]
    assert usable["duplicate"].tolist() == [1.0, 1.0]
    assert usable[["none"]].isna().all()
    assert 0 < usable["mix"] <= 1


def test_costs_add_up_the_receipts(done: Chain) -> None:
    costs = read_table(done.aggregated()["costs"], "costs")
    paid = read_table(done.augmented(done.key("mix"))["receipt"], "receipt")
    assert costs[["augmenter", "llm"]].to_numpy().tolist() == [["mix", "local"]]
    for name in ("requests_paid", "requests_replayed", "prompt_tokens", "completion_tokens"):
        assert costs[name].tolist() == paid[name].tolist()
    assert (costs["usd"].item(), costs["usd_per_kept_row"].item()) == (0.0, 0.0)


def test_costs_of_no_language_model_are_empty(controls: Chain) -> None:
    costs = read_table(controls.aggregate()["costs"], "costs")
    assert len(costs) == 0
    assert list(costs) == tables.schema("costs").names


@pytest.mark.parametrize(
    ("usd", "kept", "total", "per_row"),
    [
        ([1.0, 0.5], [2, 4], 1.5, 0.25),
        ([None, None], [2, 4], None, None),
        ([1.0, None], [2, 4], None, None),
        ([1.0, 0.5], [0, 0], 1.5, None),
    ],
)
def test_price_of_a_row_is_worked_out(
    controls: Chain, usd: list[float | None], kept: list[int], total: float | None, per_row: float | None
) -> None:
    drawn = [key for key in controls.runs if key["augmenter"] == "duplicate"]
    for key, cost, rows in zip(drawn, usd, kept, strict=True):
        rewrite_receipt(controls, key, llm="local", usd=cost, rows_kept=rows, requests_paid=10)
    costs = read_table(controls.aggregate()["costs"], "costs")
    assert costs["requests_paid"].tolist() == [20]
    found = costs[["usd", "usd_per_kept_row"]].astype(object)
    assert found.where(found.notna(), None).to_numpy().tolist() == [[total, per_row]]


def test_trials_that_share_a_draw_count_once(make_chain: MakeChain) -> None:
    shared = {"duplicate": {"draw": "data_seed"}, "mix": None}
    chain = make_chain(seeds={"data": [11], "trials": [7, 8]}, augmenters=shared, **{"except": []})
    chain.prepare()
    for key in chain.runs:
        chain.up_to_train(key)
        chain.evaluate(key)
    first, second = (key for key in chain.runs if key["augmenter"] == "duplicate")
    told = {"llm": "local", "usd": 2.0, "rows_kept": 8, "prompt_tokens": 100, "requests_discarded": 2}
    # Both jobs ran at once: the second one paid for what the first one had not asked yet.
    rewrite_receipt(chain, first, **told, requests_paid=7, requests_replayed=3, usd_paid=1.4, requests_unknown=1)
    rewrite_receipt(chain, second, **told, requests_paid=3, requests_replayed=7, usd_paid=0.6, requests_unknown=1)
    (costs,) = read_table(chain.aggregate()["costs"], "costs").to_dict("records")
    assert (costs["requests_paid"], costs["requests_replayed"], costs["requests_unknown"]) == (10, 0, 1)
    assert (costs["usd"], costs["usd_per_kept_row"], costs["prompt_tokens"]) == (2.0, 0.25, 100)
    page = chain.aggregated()["report"].read_text(encoding="utf-8")
    assert "2.00 US dollars for language models in all." in page
    assert "of it were paid" not in page
    assert '2<span class="of">20.0 %</span>' in page


def rewrite_receipt(chain: Chain, key: Key, **changes: Any) -> None:
    path = chain.path("receipts", AUGMENTATION, key, "receipt")
    receipt = read_table(path, "receipt").astype(object)
    for name, value in changes.items():
        receipt[name] = [value]
    write_table(path, tables.from_columns("receipt", receipt), read_provenance(path))


def test_provenance_holds_config_and_stages(done: Chain) -> None:
    for name in TABLES:
        made = read_provenance(done.aggregated()[name])
        assert sorted(made["slices"]) == ["aggregate"]  # it is the whole config
        assert len(made["inputs"]) == 3 * len(done.runs) + 1
        assert {name.split("/")[0] for name in made["inputs"]} == {"evaluate", "augment", "quality", "prepare"}
        assert str(done.results) not in json.dumps(made)


# Verdict and report.


def test_verdict_is_json(done: Chain) -> None:
    verdict = json.loads(done.aggregated()["verdict"].read_text(encoding="utf-8"))
    assert verdict["headline"]
    assert {entry["augmenter"] for entry in verdict["verdicts"]} == {"mix"}


def test_report_is_one_page(done: Chain) -> None:
    page = done.aggregated()["report"].read_text(encoding="utf-8")
    headline = json.loads(done.aggregated()["verdict"].read_text(encoding="utf-8"))["headline"]
    assert page.lower().startswith("<!doctype html>")
    assert headline.split(".", maxsplit=1)[0] in page
    assert "mix" in page


def test_shortfall_is_in_the_report(controls: Chain) -> None:
    rewrite_receipt(controls, controls.key("duplicate"), rows_wanted=4, rows_kept=1)
    page = controls.aggregate()["report"].read_text(encoding="utf-8")
    assert "toy, duplicate: 3 of 4 rows are missing in 1 draws" in page


def test_runs_of_other_weights_are_in_the_report(controls: Chain) -> None:
    path = controls.metrics(controls.key("duplicate"))
    made, rows = read_provenance(path), read_table(path, "metrics")
    assert made["trained"]["device"] == "cpu"
    other = {**made["trained"], "device": "cuda"}
    write_table(path, tables.from_columns("metrics", rows), {**made, "trained": other})
    page = controls.aggregate()["report"].read_text(encoding="utf-8")
    assert "its runs ran on 2 kinds of device (cpu, cuda)" in page


def test_short_classes_are_in_the_report(make_chain: MakeChain) -> None:
    chain = make_chain(augmenters={"mix": None}, subsample={"train": ["13s"]}, **{"except": []})
    chain.prepare()
    for key in chain.runs:
        chain.up_to_train(key)
        chain.evaluate(key)
    page = chain.aggregate()["report"].read_text(encoding="utf-8")
    told = "the class &#39;negative&#39; has 12 of the 13 rows that were asked for; all of them are taken."
    assert f"toy, train of 13s: {told}" in page


def test_problems_of_label_words_are_in_the_report(done: Chain, tmp_path: Path) -> None:
    chain = copied(done, tmp_path)
    words = [["negative", "sci/tech", [" Sci", "/", "tech"]], ["positive", "world", [" World"]]]
    for name, path in chain.augmented(chain.key("mix")).items():
        rows = tables.from_columns(name, read_table(path, name))
        write_table(path, rows, {**read_provenance(path), "words": words})
    page = chain.aggregate()["report"].read_text(encoding="utf-8")
    told = (
        "toy, local: the label word &#39;Sci/tech&#39; is 3 tokens: where it is not written, 2 more "
        "requests a row may score it whole."
    )
    assert page.count(told) == 1


def told_words(done: Chain, words: Any, labels: str = "soft") -> dict[Path, dict[str, Any]]:
    """Return the provenance of three rows files of a language model, two of them alike, and of a control."""
    made = read_provenance(done.augmented(done.key("mix"))["synthetic"])
    made["words"] = words
    made["slices"]["augment"]["augmenter"]["labels"] = labels
    other = json.loads(json.dumps(made))
    other["slices"]["augment"]["llm"]["name"] = "other"
    control = read_provenance(done.augmented(done.key("none"))["synthetic"])
    metrics = read_provenance(done.metrics(done.key("mix")))
    return dict(zip(map(Path, "abcde"), (control, made, made, other, metrics), strict=True))


PIECES = [["negative", "negative", [" Neg", "ative"]], ["positive", "positive", [" Positive"]]]
UNKNOWN = [["negative", "negative", None], ["positive", "positive", None]]


def test_problems_are_told_once_for_each_language_model(done: Chain) -> None:
    problem = "the label word 'Negative' is 2 tokens: where it is not written, 1 more request a row may score it whole."
    assert [*tell_word_problems(told_words(done, PIECES))] == [f"toy, local: {problem}", f"toy, other: {problem}"]


@pytest.mark.parametrize(("words", "labels"), [(PIECES, "hard"), (UNKNOWN, "soft"), (None, "soft")])
def test_no_problem_is_made_up(done: Chain, words: Any, labels: str) -> None:
    assert [*tell_word_problems(told_words(done, words, labels))] == []


@pytest.mark.parametrize("words", [PIECES, UNKNOWN], ids=["tokenizer", "no tokenizer"])
def test_words_are_listed_with_their_tokens(done: Chain, words: Any) -> None:
    listed = [{"dataset": "toy", "llm": name, "rows": words} for name in ("local", "other")]
    assert list_words(done.config, told_words(done, words)) == listed


def test_words_of_the_config_stand_in_where_no_model_was_asked(controls: Chain) -> None:
    provenance = {path: read_provenance(path) for key in controls.runs for path in controls.augmented(key).values()}
    rows = [["negative", "negative", None], ["positive", "positive", None]]
    assert list_words(controls.config, provenance) == [{"dataset": "toy", "llm": None, "rows": rows}]


def test_same_inputs_give_same_bytes(done: Chain) -> None:
    before = {name: path.read_bytes() for name, path in done.aggregated().items()}
    done.aggregate(whole=True)
    assert {name: path.read_bytes() for name, path in done.aggregated().items()} == before


# Stale files.


@pytest.mark.parametrize(
    ("overlay", "stage", "table"),
    [
        ({"datasets": {"toy": {"text": "other"}}}, "prepare", "metrics"),
        ({"subsample": {"validation": "3s"}}, "subsample", "metrics"),
        ({"augmenters": {"duplicate": {"multiplier": 2.0}}}, "augment", "metrics"),
        ({"classifiers": {"tiny": {"batch_size": 3}}}, "train", "metrics"),
        ({"augmenters": {"mix": {"temperature": 0.5}}}, "augment", "synthetic"),
        ({"llms": {"local": {"context": 192}}}, "augment", "synthetic"),
    ],
)
def test_stale_files_are_named_with_stage(
    done: Chain, tmp_path: Path, overlay: dict[str, Any], stage: str, table: str
) -> None:
    before = {path: path.read_bytes() for path in done.aggregated().values()}
    with pytest.raises(ArtefactError, match="made with other settings than the config's: ") as caught:
        other_config(done, **overlay).aggregate()
    message = str(caught.value)
    assert f"{table}.parquet ({stage})" in message
    assert str(done.results) in message
    assert message.endswith(
        "delete these files, or run snakemake with --forcerun and the stage in brackets; stored answers are not "
        "paid again"
    )
    assert {path: path.read_bytes() for path in before} == before


def test_rows_that_a_run_was_matched_with_are_looked_at(make_chain: MakeChain) -> None:
    tiny = {"match": "duplicate", "max_steps": 2}
    one = {"augmenters": {"mix": None}, "seeds": {"data": [11]}, "classifiers": {"tiny": tiny}, "except": []}
    chain = make_chain(**one)
    chain.prepare()
    for key in reversed(chain.runs):  # the matched rows come first
        chain.up_to_train(key)
        chain.evaluate(key)
    chain.aggregate()
    changed = other_config(chain, augmenters={"duplicate": {"multiplier": 2.0}})
    changed.up_to_train(changed.key("duplicate"))
    changed.evaluate(changed.key("duplicate"))
    with pytest.raises(ArtefactError, match=r"augmenter=none/.*metrics\.parquet \(match\); delete"):
        changed.aggregate()


def test_many_stale_files_are_counted(done: Chain) -> None:
    with pytest.raises(ArtefactError, match=r"\(train\) and 2 more; delete") as caught:
        other_config(done, classifiers={"tiny": {"batch_size": 3}}).aggregate()
    assert str(caught.value).count(".parquet (") == 3


@pytest.mark.parametrize(
    "overlay",
    [
        {"threads": {"augment": 2}},
        {"cache": "elsewhere"},
        {"report": {"alpha": 0.1}},
        {"classifiers": {"unused": {"method": "finetune"}}, "only": [{"classifier": "tiny"}]},
    ],
)
def test_other_settings_leave_files_fresh(done: Chain, tmp_path: Path, overlay: dict[str, Any]) -> None:
    chain = copied(done, tmp_path, **overlay)
    assert all(path.is_file() for path in chain.aggregate().values())


def test_fewer_runs_are_aggregated_alone(done: Chain, tmp_path: Path) -> None:
    chain = copied(done, tmp_path, only=[{"augmenter": "none"}, {"augmenter": "duplicate"}])
    runs = read_table(chain.aggregate()["runs"], "runs")
    assert sorted(set(runs["augmenter"])) == ["duplicate", "none"]


def test_foreign_file_is_refused(controls: Chain) -> None:
    path = controls.metrics(controls.key("none"))
    pd.read_parquet(path).to_parquet(path)
    with pytest.raises(ArtefactError, match=r"metrics.parquet: was not written by HyperMix"):
        controls.aggregate()
