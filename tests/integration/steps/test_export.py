from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from transformers import pipeline

from hypermix import tables
from hypermix.cli import main
from hypermix.config.load import merge
from hypermix.errors import ArtefactError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.steps.predict import predict
from tests.integration.steps.chain import Chain
from tests.integration.steps.whole import Export, run_study

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


# hypermix predict, with the exported folder.

ROWS = [("the film was grim", 1), ("a warm story … and song", 2), ("", 3), ('dull plot, "cold" actor\nis bad', 4)]


def rows_file(path: Path, header: str = "text") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("number", header), *((number, text) for text, number in ROWS)])
    return path


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [*csv.DictReader(stream)]


def test_config_of_the_model_names_its_columns(exported: Export) -> None:
    told = json.loads((exported.folder / "config.json").read_text(encoding="utf-8"))

    assert told["hypermix_columns"] == {"text": ["text"], "label": "label"}
    assert told["id2label"] == {"0": "negative", "1": "positive"}


def test_predictions_are_those_of_a_pipeline(exported: Export, tmp_path: Path) -> None:
    rows_file(tmp_path / "in.csv")
    done = predict(exported.folder, tmp_path / "in.csv", tmp_path / "out.csv", every=True)
    texts = [text.replace("…", "...") for text, _ in ROWS]  # as prepare cleans them
    told = pipeline("text-classification", model=str(exported.folder), truncation=True)(texts, top_k=None)
    wanted = [{one["label"]: one["score"] for one in row} for row in told]
    found = read_rows(tmp_path / "out.csv")

    assert [*found[0]] == ["number", "text", "predicted", "probability", "probability_negative", "probability_positive"]
    assert [(row["text"], int(row["number"])) for row in found] == ROWS
    for row, shares in zip(found, wanted, strict=True):
        assert row["predicted"] == max(shares, key=lambda label: shares[label])
        assert float(row["probability"]) == pytest.approx(max(shares.values()), abs=2e-6)
        assert {label: float(row[f"probability_{label}"]) for label in shares} == pytest.approx(shares, abs=2e-6)
    assert (done.rows, done.empty, done.cut, done.why) == (4, 1, 0, "model")


def test_batches_change_nothing(exported: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_file(tmp_path / "in.csv")
    told: list[int] = []
    predict(exported.folder, tmp_path / "in.csv", tmp_path / "whole.csv")
    monkeypatch.setattr("hypermix.steps.predict._ROWS", 1)
    predict(exported.folder, tmp_path / "in.csv", tmp_path / "single.csv", tell=told.append)

    assert told == [1, 2, 3, 4]
    for one, other in zip(*(read_rows(tmp_path / f"{name}.csv") for name in ("whole", "single")), strict=True):
        assert float(one.pop("probability")) == pytest.approx(float(other.pop("probability")), abs=2e-6)
        assert one == other


@pytest.mark.parametrize(("names", "why"), [(["body"], "guessed"), (["body", "number"], "given")])
def test_other_columns_are_guessed_or_given(exported: Export, tmp_path: Path, names: list[str], why: str) -> None:
    rows_file(tmp_path / "in.csv", header="body")
    given = names if why == "given" else []
    done = predict(exported.folder, tmp_path / "in.csv", tmp_path / "out.jsonl", text=given)

    assert (done.columns, done.why) == (names, why)
    assert any("(guessed; name another with --text)" in line for line in done.lines(Path("out"))) == (why == "guessed")
    (first, *_) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [*json.loads(first)] == ["number", "body", "predicted", "probability"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["MODEL", "in.csv", "in.csv"], "in.csv: is the file with the rows; name another one"),
        (["MODEL", "in.csv", "link.csv"], "link.csv: is the file with the rows"),
        (["MODEL", "gone.csv", "out.csv"], "gone.csv: no such file; name a file of rows"),
        (["MODEL", "in.csv", "out.xlsx"], "out.xlsx: the suffix '.xlsx' names no format"),
        (["MODEL", "in.csv", "out.csv", "--text", "txt"], "no column 'txt' (did you mean 'text'?"),
        (["MODEL", "empty.csv", "out.csv"], "empty.csv: has no rows"),
        (["MODEL", "many.csv", "out.csv"], "no column 'text' (known: a, b); name that of the texts with --text"),
        (["MODEL", "again.csv", "out.csv"], "again.csv: has a column 'predicted' already"),
        (["MODEL", "ragged.csv", "out.csv"], "ragged.csv: row 2 has 1 field and the header 2"),
        ([".", "in.csv", "out.csv"], ".: holds no model (no config.json can be read there)"),
        (["broken", "in.csv", "out.csv"], "broken: its config.json is no JSON"),
        (["base", "in.csv", "out.csv"], "so it is no trained classifier; name a folder that snakemake export wrote"),
    ],
)
def test_what_cannot_be_predicted_is_told_in_a_sentence(
    exported: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    rows_file(Path("in.csv"))
    Path("link.csv").symlink_to("in.csv")
    texts = {"empty": "text\n", "many": "a,b\n1,2\n", "again": "text,predicted\na,b\n", "ragged": "text,x\na,b\nc\n"}
    for name, text in texts.items():
        Path(f"{name}.csv").write_text(text, encoding="utf-8")
    Path("broken").mkdir()
    Path("broken/config.json").write_text("{", encoding="utf-8")
    Path("base").symlink_to(exported.chain.config.classifiers["tiny"].model)
    status = main(["predict", *(str(exported.folder) if word == "MODEL" else word for word in arguments)])

    assert status == 1
    assert told in capsys.readouterr().err
    assert not Path("out.csv").exists()


def test_command_tells_what_it_wrote(exported: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows_file(tmp_path / "in.csv")
    assert main(["predict", str(exported.folder), str(tmp_path / "in.csv"), str(tmp_path / "out.tsv.gz")]) == 0

    out = capsys.readouterr().out
    assert re.match(r".*out\.tsv\.gz: 4 rows; predicted: (negative|positive): \d", out)
    assert "1 row without a text; what is predicted there means nothing." in out


def test_card_says_that_the_hub_would_take_it(exported: Export) -> None:
    """The checks that the hub's own library can do without the hub."""
    found = ModelCard.load(exported.folder / "README.md")

    assert (found.data.library_name, found.data.tags) == ("transformers", ["hypermix"])
    assert "hypermix predict PATH_OF_THIS_FOLDER" in found.text
