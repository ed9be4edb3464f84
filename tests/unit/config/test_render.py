from __future__ import annotations

import json
import re
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from hypermix.config.filter import Filters, Relabel
from hypermix.config.llm import Budget, KeyPlace, Limits, Price
from hypermix.config.load import load_config, variant_models
from hypermix.config.model import Config, Export, Quality, Report, Seeds, Subsample, Threads
from hypermix.config.registry import REGISTRY_PATH, read_registry
from hypermix.config.render import datasets_document, json_schema, reference
from hypermix.config.setting import Stage
from tests.architecture.source import ROOT
from tests.unit.config.conftest import RAW, Change

REGISTRY = read_registry(ROOT / REGISTRY_PATH)
SECTIONS = ("datasets", "llms", "augmenters", "classifiers")
TAGS = {"source", "api", "method"}


def rows() -> dict[str, list[str]]:
    """Return the tables of the reference: meaning, default and stage by key; the last of a key counts."""
    lines = [line for line in reference().splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return {key.strip().strip("`"): [part.strip() for part in parts] for key, *parts in cells}


def keys(model: type[BaseModel], prefix: str) -> set[str]:
    return {f"{prefix}{field.alias or name}" for name, field in model.model_fields.items() if name not in TAGS}


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json_schema())
    return loaded


def schema_mistakes(raw: object) -> list[str]:
    return [str(error.message) for error in jsonschema.Draft202012Validator(schema()).iter_errors(raw)]


def document() -> str:
    return datasets_document(REGISTRY)


@pytest.mark.parametrize(
    ("name", "made"),
    [("config/README.md", reference), ("config/schema.json", json_schema), ("docs/datasets.md", document)],
)
def test_file_is_in_step_with_its_source(name: str, made: Any) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == made(), f"{name} is out of step; run: hypermix config write"


def test_reference_has_every_setting() -> None:
    expected = {"only", "except", "results", "cache", "offline", "login_node"}
    for section in SECTIONS:
        for model in variant_models(section).values():
            expected |= keys(model, f"{section}.NAME.")
    for name, nested in {"key": KeyPlace, "limits": Limits, "price": Price}.items():
        expected |= keys(nested, f"llms.NAME.{name}.") | {f"llms.NAME.{name}"}
    expected.add("llms.NAME.price.source")
    for name, after in {"filters": Filters, "relabel": Relabel}.items():
        expected |= keys(after, f"augmenters.NAME.{name}.")
    plain: dict[str, type[BaseModel]] = {
        **{"subsample": Subsample, "seeds": Seeds, "budget": Budget, "report": Report, "threads": Threads},
        "export": Export,
        "quality": Quality,
    }
    for section, settings in plain.items():
        expected |= keys(settings, f"{section}.")

    assert set(rows()) == expected


def test_reference_has_every_kind() -> None:
    headings = [line.removeprefix("### ").strip("`") for line in reference().splitlines() if line.startswith("### ")]

    assert headings == [
        *("source: packaged", "source: file", "source: hub", "source: registry"),
        *("api: embedded", "api: completions", "api: chat", "api: batch", "api: transformers"),
        *("llms.NAME.key", "llms.NAME.limits", "llms.NAME.price"),
        *(f"method: {name}" for name in variant_models("augmenters")),
        *("augmenters.NAME.filters", "augmenters.NAME.relabel"),
        *("method: finetune", "method: tmix", "method: probe", "method: setfit", "method: custom"),
    ]


def test_reference_has_every_section_once() -> None:
    headings = [line.removeprefix("## ").strip("`") for line in reference().splitlines() if line.startswith("## ")]
    rest = {"only", "except_", "results", "cache", "offline", "login_node"}
    sections = [name for name in Config.model_fields if name not in rest]

    assert sorted(headings) == sorted([*sections, "The rest"])


@pytest.mark.parametrize("key", sorted(rows()))
def test_row_tells_meaning_default_stage(key: str) -> None:
    meaning, default, stage = rows()[key]

    assert len(meaning) > 10
    assert meaning.endswith(".")
    assert default == "must be given" or json.loads(default.strip("`")) is not Ellipsis
    assert stage in get_args(Stage)


@pytest.mark.parametrize(
    ("key", "default", "stage"),
    [
        ("classifiers.NAME.batch_size", "`16`", "train"),
        ("classifiers.NAME.device", '`"auto"`', "train"),
        ("augmenters.NAME.labels", '`"soft"`', "augment"),
        ("seeds.data", '`{"master": 42, "count": 3}`', "aggregate"),
        ("subsample.train", '`["32s"]`', "aggregate"),
        ("subsample.test", "`null`", "subsample"),
        ("except", "`[]`", "aggregate"),
        ("threads.train", "`1`", "train"),
        ("threads.augment", "`1`", "runtime"),
        ("llms.NAME.limits", "`{}`", "runtime"),
        ("llms.NAME.limits.concurrency", "`8`", "runtime"),
        ("llms.NAME.price", "`null`", "runtime"),
        ("llms.NAME.price.as_of", "must be given", "runtime"),
        ("llms.NAME.key.env", "`null`", "runtime"),
        ("llms.NAME.poll", "`60.0`", "runtime"),
        ("llms.NAME.slots", "`1`", "augment"),
        ("budget.usd", "`null`", "runtime"),
    ],
)
def test_row_equals_the_model(key: str, default: str, stage: str) -> None:
    assert rows()[key][1:] == [default, stage]


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("classifiers.NAME.max_length", "tokens"),
        ("llms.NAME.limits.deadline", "seconds"),
        ("llms.NAME.limits.longest_wait", "seconds"),
        ("llms.NAME.poll", "seconds"),
        ("llms.NAME.price.input", "US dollars"),
        ("budget.usd", "US dollars"),
    ],
)
def test_row_tells_the_unit(key: str, unit: str) -> None:
    assert rows()[key][0].endswith(f" Unit: {unit}.")


@pytest.mark.parametrize("section", ["key", "limits", "price"])
def test_inner_section_has_one_table(section: str) -> None:
    assert reference().count(f"### `llms.NAME.{section}`\n") == 1
    assert reference().count(f"| `llms.NAME.{section}.") == len(rows_of(section))


def rows_of(section: str) -> list[str]:
    return [key for key in rows() if key.startswith(f"llms.NAME.{section}.")]


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_schema_takes_the_default_config() -> None:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))

    assert schema_mistakes(raw) == []
    assert schema_mistakes(RAW) == []


def test_schema_takes_seeds_as_list(change: Change) -> None:
    assert schema_mistakes(change("seeds.data", [1, 2])) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("reslts", "x", "'reslts' was unexpected"),
        ("threads.tain", 1, "'tain' was unexpected"),
        ("threads.train", 0, "less than the minimum"),
        ("report.alpha", "0.05", "is not of type 'number'"),
        ("subsample.train", ["32"], "does not match"),
        ("classifiers.minilm.pateince", 1, "not valid under any|was unexpected"),
        ("augmenters.mix.lables", "soft", "not valid under any|was unexpected"),
        ("datasets.rt.source", "packagd", "not valid under any|is not one of|was expected"),
        ("llms.luna.key", {"env": "sk-made-up"}, "not valid under any|does not match"),
        ("llms.luna.limits", {"concurrency": 0}, "not valid under any|less than the minimum"),
        ("budget.usd", "5", "not valid under any"),
    ],
)
def test_schema_rejects_mistakes(change: Change, path: str, value: object, message: str) -> None:
    (found,) = schema_mistakes(change(path, value))

    assert re.search(message, found)


def test_schema_describes_every_setting() -> None:
    models = [part for name, part in schema()["$defs"].items() if "properties" in part]

    for model in [*models, schema()]:
        for name, part in model["properties"].items():
            assert part.get("description") or "$ref" in part, name
        assert model["additionalProperties"] is False


def test_rendering_twice_is_the_same() -> None:
    assert (json_schema(), reference(), document()) == (json_schema(), reference(), document())


# The document of the datasets.


def dataset_rows() -> dict[str, list[str]]:
    """Return the cells of the table by the name of the dataset."""
    table = document().partition("## The 17")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {name: rest for name, *rest in cells}


def test_document_has_every_dataset() -> None:
    headings = [line.removeprefix("### ") for line in document().splitlines() if line.startswith("### ")]

    assert list(dataset_rows()) == headings == list(REGISTRY)
    assert all(len(cells) == 6 for cells in dataset_rows().values())


def test_document_tells_each_source() -> None:
    for source in ("Registry", "Hub", "File", "Packaged"):
        assert f"\n**{source}.** " in document()
    assert "`hypermix datasets pin`" in document()


def test_examples_of_the_document_can_be_used() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", document(), re.DOTALL)
    config = load_config({**RAW, "only": [], **yaml.safe_load(example)}, REGISTRY)

    assert [dataset.source for dataset in config.datasets.values()] == ["registry", "hub", "file", "packaged"]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        (
            "cola",
            [
                *("`nyu-mll/glue`, cola", "2", "8,551 / – / 1,043", "unacceptable: incorrect, acceptable: correct"),
                *("text / grammar", "unknown"),
            ],
        ),
        (
            "sst2",
            [
                *("`SetFit/sst2`", "2", "6,920 / 872 / 1,821", "negative, positive"),
                *("movie review / sentiment", "unknown"),
            ],
        ),
    ],
)
def test_row_of_a_dataset(name: str, cells: list[str]) -> None:
    assert dataset_rows()[name] == cells


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_document_tells_pitfalls_and_how_it_was_checked(name: str) -> None:
    facts = REGISTRY[name]["facts"]

    assert f"\n### {name}\n\n{facts['pitfalls']} *How it was checked:* {facts['checked']} " in document()


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        (None, "No commit is set: pin it."),
        ("main", "Branch `main`: pin its commit."),
        ("a" * 40, f"Commit `{'a' * 40}`."),
    ],
)
def test_document_tells_the_commit(revision: str | None, told: str) -> None:
    made = datasets_document({"sst2": {**REGISTRY["sst2"], "revision": revision}})

    assert made.endswith(f" {told}\n")
