from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.model import Config
from hypermix.errors import ArtefactError
from hypermix.files import read_table
from hypermix.steps import aggregate, partial
from hypermix.steps.artefacts import AGGREGATE_INPUTS, AGGREGATE_OUTPUTS, list_units
from tests.integration.steps.chain import Chain, MakeChain
from tests.integration.steps.leftover import Leftover

ERROR = "none of 8 answers can be used; <script>alert(1)</script> & \x1b[31mred"
COMMAND = "hypermix partial mine.yaml"


@pytest.fixture
def left(done: Chain, tmp_path: Path) -> Leftover:
    return Leftover(done, tmp_path / "results")


def table(left: Leftover, name: str) -> Any:
    return read_table(left.results / partial.FOLDER / AGGREGATE_OUTPUTS[name], name)


def missing(left: Leftover) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((left.results / "partial" / "missing.json").read_text(encoding="utf-8"))
    return found


def report(left: Leftover) -> str:
    return (left.results / "partial" / "report.html").read_text(encoding="utf-8")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.*"))}


def aggregate_all(config: Config) -> None:
    """Aggregate as the workflow does: every file of the config."""
    units = list_units(config)
    inputs = {
        kind: [unit.path(config.results, name) for unit in units[stage].values()]
        for kind, (stage, name) in AGGREGATE_INPUTS.items()
    }
    outputs = {name: Path(config.results) / "aggregate" / file for name, file in AGGREGATE_OUTPUTS.items()}
    aggregate.run(experiment.aggregate_slice(config), inputs, outputs)


# A part of an experiment.


def test_of_a_whole_experiment_the_tables_are_the_same(left: Leftover) -> None:
    written = partial.write(left.config)
    assert written.missing == ["Made while the experiment ran: all 5 runs are there."]
    assert missing(left) == []
    for name in ("runs", "summary", "comparisons", "costs", "quality"):
        file = AGGREGATE_OUTPUTS[name]
        assert (left.results / "partial" / file).read_bytes() == (left.results / "aggregate" / file).read_bytes()


def test_missing_runs_are_left_out_and_named(left: Leftover) -> None:
    kept = digests(left.results / "aggregate")
    left.remove([left.chain.metrics(left.chain.key("duplicate", 12))])
    written = partial.write(left.config)
    assert len(table(left, "runs")) == 4
    assert written.missing == [
        "This report is partial: 4 of 5 runs are there, and all numbers are of these alone.",
        "toy, 2s, duplicate, tiny: 1 of 2 runs is missing (data seed/trial 12/7).",
    ]
    for sentence in written.missing:
        assert f"<li>{sentence}</li>" in report(left)
    assert digests(left.results / "aggregate") == kept
    (lacking,) = missing(left)
    assert (lacking["augmenter"], lacking["data_seed"], lacking["stage"]) == ("duplicate", 12, "evaluate")
    assert (lacking["state"], lacking["error"]) == ("waiting", None)


def test_failed_runs_are_named_with_the_reason(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    left.fail("augment", key, ERROR)
    written = partial.write(left.config)
    assert "toy, 2s, mix, tiny: its one run is missing." in written.missing
    assert any(sentence.startswith("augment failed for toy 2s 11 mix 7: none of 8") for sentence in written.missing)
    assert "\x1b" not in "".join(written.lines())
    assert "<script>alert" not in report(left)
    assert "&lt;script&gt;alert(1)" in report(left)
    (lacking,) = missing(left)
    assert (lacking["stage"], lacking["state"], lacking["error"]) == ("augment", "failed", ERROR)
    assert Path(lacking["log"]).is_file()


def test_an_error_of_many_jobs_is_told_once(left: Leftover) -> None:
    for augmenter in ("none", "duplicate"):
        for seed in (11, 12):
            key = left.chain.key(augmenter, seed)
            left.remove([left.chain.metrics(key), *left.chain.trained(key).values()])
            left.fail("train", key, "no room on the disk")
    told = [sentence for sentence in partial.write(left.config).missing if "no room" in sentence]
    assert told == ["train failed for toy 2s 11 none tiny 7 and 3 more: no room on the disk"]


def test_augmentation_without_its_run_counts_its_cost(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove([left.chain.metrics(key), *left.chain.trained(key).values()])
    partial.write(left.config)
    assert list(table(left, "costs")["augmenter"]) == ["mix"]
    assert "mix" not in set(table(left, "runs")["augmenter"])


def test_unequal_numbers_of_trials_are_aggregated(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = make_chain(seeds={"data": [11, 12], "trials": [7, 8]}, augmenters={"mix": None}, **{"except": []})
    chain.prepare()
    for key in chain.runs[:5]:
        chain.up_to_train(key)
        chain.evaluate(key)
    left = Leftover(chain, tmp_path / "copy")
    partial.write(left.config)
    summary = table(left, "summary")
    counted = summary[summary["metric"] == "accuracy"].set_index("augmenter")
    assert counted["n_runs"].to_dict() == {"none": 4, "duplicate": 1}
    assert counted["n_seeds"].to_dict() == {"none": 2, "duplicate": 1}


@pytest.mark.parametrize("there", [[], ["prepare"], ["prepare", "subsample", "augment", "receipts", "quality"]])
def test_without_a_run_there_is_a_report_still(left: Leftover, there: list[str]) -> None:
    for folder in ("prepare", "subsample", "augment", "receipts", "quality", "train", "evaluate"):
        if folder not in there:
            left.remove((left.results / folder).rglob("*.parquet"))
    written = partial.write(left.config)
    assert written.missing[0].startswith("This report is partial: 0 of 5 runs are there")
    assert len(table(left, "runs")) == len(table(left, "comparisons")) == 0
    verdict = json.loads((left.results / "partial" / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["headline"] == "Nothing to compare: there are no runs."
    assert "0 of 5 runs" in report(left)


def test_long_lists_are_cut(left: Leftover) -> None:
    config = left.with_settings(classifiers={f"copy{n}": left.chain.raw["classifiers"]["tiny"] for n in range(9)})
    told = partial.write(config).missing
    assert told[0].startswith("This report is partial: 5 of 50 runs")
    assert "more settings with missing runs; missing.json" in told[-1]
    assert len(told) < 16
    assert len(missing(left)) == 45


# Two configs in one folder.


def test_files_of_another_config_are_left_out_by_name(left: Leftover) -> None:
    config = left.with_settings(augmenters={"mix": {"examples": 2}})
    with pytest.raises(ArtefactError, match=r"made with other settings than the config's: .*augmenter=mix.*augment"):
        aggregate_all(config)
    written = partial.write(config)
    assert set(table(left, "runs")["augmenter"]) == {"none", "duplicate"}
    (told,) = [sentence for sentence in written.missing if sentence.startswith("Left out")]
    assert "augmenter=mix" in told
    assert "other settings of augment" in told
    assert set(table(left, "runs")["n_train"]) == {4}


def test_other_classifier_of_the_same_name_leaves_no_run(left: Leftover) -> None:
    config = left.with_settings(classifiers={"tiny": {"max_steps": 13}})
    with pytest.raises(ArtefactError, match="made with other settings"):
        aggregate_all(config)
    written = partial.write(config)
    assert len(table(left, "runs")) == 0
    assert written.missing[0].startswith("This report is partial: 0 of 5")


def test_keys_of_another_config_are_not_read(left: Leftover) -> None:
    config = left.with_settings(augmenters={"mix": None}, **{"except": []})
    aggregate_all(config)
    partial.write(config)
    assert set(table(left, "runs")["augmenter"]) == {"none", "duplicate"}


# At the end of a failed run of the workflow.


def test_failure_makes_the_report(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    left.fail("augment", key, "no answer")
    told = partial.tell_failure(left.config, COMMAND)
    assert told[-1] == f"Report of the runs so far: {left.results / 'partial' / 'report.html'}"
    assert "augment failed for toy 2s 11 mix 7: no answer" in told
    assert "4 of 5 runs" in report(left)


def test_large_studies_are_left_to_the_command(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    left.fail("augment", key, "no answer")
    told = partial.tell_failure(left.config, COMMAND, most=3)
    assert told[-1] == f"A report of the runs so far: {COMMAND}"
    assert "augment failed for toy 2s 11 mix 7: no answer" in told
    assert not (left.results / "partial").exists()


def test_where_no_run_is_done_the_errors_alone_are_told(left: Leftover) -> None:
    key = left.chain.key("mix")
    left.remove_augmentation(key)
    left.fail("augment", key, "no answer")
    left.remove((left.results / "evaluate").rglob("metrics.parquet"))
    assert partial.tell_failure(left.config, COMMAND) == ["augment failed for toy 2s 11 mix 7: no answer"]


def test_errors_beyond_the_first_are_named_where_they_can_be_read(left: Leftover) -> None:
    """No report is written there, and so no missing.json."""
    for number, key in enumerate([left.chain.key(name, seed) for name in ("none", "duplicate") for seed in (11, 12)]):
        for stage in ("train", "augment"):
            left.fail(stage, key, f"error {number} of {stage}")
    left.remove(path for path in left.results.rglob("*.parquet") if "aggregate" not in path.parts)
    told = partial.tell_failure(left.config, COMMAND)

    assert told[-1] == "And 3 more errors; `hypermix status --json` with the same files names all."


def test_without_a_failed_job_nothing_is_made(left: Leftover) -> None:
    """Ctrl-C is no failure."""
    left.remove([left.chain.metrics(left.chain.key("mix"))])
    assert partial.tell_failure(left.config, COMMAND) == [f"A report of the runs so far: {COMMAND}"]
    left.remove((left.results / "evaluate").rglob("metrics.parquet"))
    assert partial.tell_failure(left.config, COMMAND) == []


def test_command_names_the_config_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = ["config/config.yaml", tmp_path / "my own.yaml", Path("/elsewhere/x.yaml")]
    assert partial.word_command(files) == "hypermix partial config/config.yaml 'my own.yaml' /elsewhere/x.yaml"
    assert partial.word_command([], True) == "hypermix partial (and a file with what --config gave)"
