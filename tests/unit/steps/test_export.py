from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import pipeline

from hypermix import tables
from hypermix.config.load import merge
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, read_table, write_table
from tests.unit.steps.chain import Chain
from tests.unit.steps.whole import Export, run_study

N_TRAIN, N_VALIDATION = 24, 12


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return a finished export; nothing may be written there."""
    # Three steps of four rows read half of the rows.
    limits = {"max_steps": 3, "min_steps": 1}
    export = run_study(tmp_path_factory.mktemp("study"), classifiers={"tiny": limits})
    export.choose()
    export.fit()
    export.export()
    return export


@pytest.fixture
def again(exported: Export, tmp_path: Path) -> Callable[..., Export]:
    """Return a function that copies the study, for an export with other settings."""

    def make(**overlay: Any) -> Export:
        results = tmp_path / "results"
        shutil.copytree(exported.chain.results, results)
        return Export(Chain(results, tmp_path / "cache", merge(exported.chain.raw, overlay)))

    return make


def card(export: Export) -> str:
    return (export.folder / "README.md").read_text(encoding="utf-8")


def test_all_rows_are_drawn(exported: Export) -> None:
    """The experiment draws 2 rows a class to train and 4 to stop; the export takes every one."""
    sizes = {name: len(read_table(path, name)) for name, path in exported.chain.drawn(exported.key).items()}

    assert sizes == {"train": N_TRAIN, "validation": N_VALIDATION, "test": 20}
    assert read_provenance(exported.inputs()["train"])["short"] == {}


def test_every_row_is_read_once_at_least(exported: Export) -> None:
    made = read_provenance(exported.inputs()["predictions"])

    assert (made["run"]["n_train"], made["run"]["n_synthetic"]) == (N_TRAIN, 0)
    assert made["slices"]["train"]["classifier"]["max_steps"] == 3
    assert made["run"]["steps"] == N_TRAIN // 4


def test_folder_predicts_what_was_measured(exported: Export) -> None:
    test = read_table(exported.chain.drawn(exported.key)["test"], "test")
    rows = read_table(exported.inputs()["predictions"], "predictions")
    measured = rows[rows["split"] == "test"]
    told = pipeline("text-classification", model=str(exported.folder), truncation=True)(
        test["text"].tolist(), top_k=None
    )
    scores = [{one["label"]: one["score"] for one in row} for row in told]

    assert measured["id"].tolist() == test["id"].tolist()
    for position, label in enumerate(["negative", "positive"]):
        wanted = [shares[position] for shares in measured["probabilities"]]
        assert [row[label] for row in scores] == pytest.approx(wanted, abs=1e-6)


def test_folder_holds_the_model_and_its_card_alone(exported: Export) -> None:
    names = {path.name for path in exported.folder.iterdir()}

    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    # What a user edits there must not change the result that it came from.
    assert not (exported.folder / "config.json").samefile(exported.model / "config.json")
    assert (exported.folder / "model.safetensors").samefile(exported.model / "model.safetensors")


def test_weights_are_copied_where_no_link_can_be(again: Callable[..., Export], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    export = again()
    monkeypatch.setattr(os, "link", refuse)
    export.export()
    weights = export.folder / "model.safetensors"

    assert not weights.samefile(export.model / "model.safetensors")
    assert weights.read_bytes() == (export.model / "model.safetensors").read_bytes()


def test_card_tells_rows_and_seeds(exported: Export) -> None:
    text = card(exported)

    assert "| all | 24 | 12 |" in text
    assert "all 24 labelled rows for training" in text
    assert "Seeds: of the data 11, of the training 7." in text
    assert "Source: the file train.csv." in text
    assert "None: the augmenter is none." in text
    assert "| `max_length` | 512 |" in text


def test_card_has_the_verdict_and_the_estimates_of_the_study(exported: Export) -> None:
    text = card(exported)
    summary = read_table(exported.inputs()["summary"], "summary")
    (row,) = summary[(summary["augmenter"] == "none") & (summary["metric"] == "accuracy")].to_dict("records")

    assert "Nothing to compare: every augmenter is a baseline (none, duplicate)." in text
    assert f"| accuracy, % at 2s | 4 | 2 | {100 * row['mean']:.1f} |" in text
    assert text.count("at 2s |") == 6  # each measure, of this variant alone
    metrics = read_table(exported.inputs()["metrics"], "metrics")
    assert f"this very model gets {100 * metrics['accuracy'].item():.1f} % right" in text


def test_card_names_no_path_of_this_machine(exported: Export) -> None:
    for path in exported.folder.iterdir():
        for secret in ("private", str(exported.chain.results), exported.chain.results.parent.name):
            assert secret.encode() not in path.read_bytes(), path.name
    assert "the model bert" in card(exported)


def test_card_has_the_licenses_of_the_config(again: Callable[..., Export]) -> None:
    export = again(export={"license": "cc-by-4.0", "language": "de"})
    text = export.export("CC0-1.0")
    front = yaml.safe_load(text.split("---\n")[1])

    assert (front["license"], front["language"]) == ("cc-by-4.0", "de")
    assert "base_model" not in front  # a folder has no id
    assert "- This model: cc-by-4.0." in text
    assert "License: CC0-1.0." in text


@pytest.mark.parametrize(
    ("told", "license_name"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model\n", "apache-2.0"),
        ("---\nlicense: [a]\n---\n", "not known"),
        ("---\n: : !!x {\n---\n", "not known"),
        ("# no front matter", "not known"),
        ("---\nlicense: '<b>'\n---\n", "&lt;b&gt;"),
    ],
)
def test_license_of_a_local_base_model_is_read(again: Callable[..., Export], told: str, license_name: str) -> None:
    export = again()
    readme = Path(export.chain.config.classifiers["tiny"].model) / "README.md"
    readme.write_text(told, encoding="utf-8")
    try:
        assert f"- Base model, the model bert: {license_name}.\n" in export.export()
    finally:
        readme.unlink()


def test_named_augmenter_is_exported_with_its_rows(again: Callable[..., Export]) -> None:
    export = again(export={"augmenter": "duplicate"})
    export.choose()
    export.fit()
    text = export.export()

    assert "The augmenter duplicate gave 24 rows; 0 more were rejected." in text
    assert "The config names the augmenter duplicate." in text
    assert read_provenance(export.inputs()["predictions"])["run"]["n_synthetic"] == N_TRAIN


def test_equal_inputs_give_equal_bytes(exported: Export, again: Callable[..., Export]) -> None:
    export = again()
    shutil.rmtree(export.folder)
    export.export()

    for path in exported.folder.iterdir():
        assert (export.folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_damaged_choice_is_told(again: Callable[..., Export]) -> None:
    export = again()
    inputs = export.inputs()
    inputs["choice"].write_text("{", encoding="utf-8")

    from hypermix.steps.export import describe_model

    with pytest.raises(ArtefactError, match=r"choice\.json: cannot be read .*; delete it and run snakemake again"):
        describe_model('{"export": {}}', inputs)


def test_front_matter_is_valid(exported: Export) -> None:
    front = re.match(r"---\n(.*?)---\n", card(exported), re.DOTALL)

    assert front
    assert yaml.safe_load(front.group(1))["pipeline_tag"] == "text-classification"


def test_card_tells_what_a_language_model_wrote_and_not_where_it_is(again: Callable[..., Export]) -> None:
    export = again(export={"augmenter": "duplicate"})
    export.choose()
    key, chain = export.key, export.chain
    chain.subsample(key)
    made = chain.augment(key)
    provenance = read_provenance(made["synthetic"])
    provenance["slices"]["augment"] = {
        "method_version": 3,
        "augmenter": {"method": "gpt3mix", "examples": 4, "draw": "trial"},
        "llm": {"name": "luna", "api": "chat", "model": "gpt-6-luna", "base_url": "https://inner.example/v1"},
    }
    rows = read_table(made["synthetic"], "synthetic").assign(llm="luna")
    rows["kept"] = [position >= 5 for position in range(len(rows))]
    write_table(made["synthetic"], tables.from_columns("synthetic", rows), provenance)
    spent = {"requests_paid": 10, "requests_replayed": 21, "prompt_tokens": 900, "completion_tokens": 80, "usd": 0.5}
    receipt = read_table(made["receipt"], "receipt").assign(llm="luna", **spent)
    write_table(made["receipt"], tables.from_columns("receipt", receipt), provenance)
    export.train()
    text = export.export()

    assert "The augmenter duplicate gave 19 rows; 5 more were rejected." in text
    assert "by gpt-6-luna (chat): 31 requests, 900 tokens of prompts, 80 tokens of answers, US dollars: 0.50." in text
    assert "- Output of the language model, gpt-6-luna (chat): not known." in text
    assert "inner.example" not in text
    assert "were not read by a person" in text
