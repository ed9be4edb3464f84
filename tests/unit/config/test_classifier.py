from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from hypermix.config.classifier import Finetune, Tmix
from hypermix.config.experiment import matched, runs, train_slice
from hypermix.config.load import load_config
from hypermix.config.recipe import MIXINGS, RECIPES, fill
from hypermix.errors import ConfigError
from tests.architecture.source import ROOT
from tests.unit.config.conftest import RAW, Change, set_key

Settings = dict[str, Any]


def with_classifier(**settings: Any) -> Settings:
    return {**RAW, "classifiers": {"own": settings}}


def slice_of(**settings: Any) -> Settings:
    told: Settings = json.loads(train_slice(load_config(with_classifier(**settings)), "own"))["classifier"]
    return told


def mistakes(**settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(with_classifier(**settings))
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


# Recipes.


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_naming_a_recipe_is_spelling_it_out(recipe: str) -> None:
    assert slice_of(method="finetune", recipe=recipe) == slice_of(method="finetune", **RECIPES[recipe])


@pytest.mark.parametrize("mixing", sorted(MIXINGS))
def test_naming_a_mixing_is_spelling_it_out(mixing: str) -> None:
    assert slice_of(method="tmix", mixing=mixing) == slice_of(method="tmix", **MIXINGS[mixing])


def test_names_of_recipes_stand_in_no_slice_of_train() -> None:
    told = slice_of(method="tmix", recipe="mosbach", mixing="mixtext")
    assert not {"recipe", "mixing"} & set(told)
    assert told["learning_rate"] == 2e-5
    assert told["alpha"] == 16.0


def test_each_recipe_trains_otherwise() -> None:
    told = [train_slice(load_config(with_classifier(method="finetune", recipe=name)), "own") for name in RECIPES]
    assert len(set(told)) == len(RECIPES) == 3


def test_defaults_are_the_reference() -> None:
    assert slice_of(method="finetune") == slice_of(method="finetune", recipe="hypermix")
    assert slice_of(method="tmix") == slice_of(method="tmix", recipe="hypermix", mixing="hypermix")


@pytest.mark.parametrize(("recipe", "key"), [(name, key) for name, values in RECIPES.items() for key in values])
def test_a_given_setting_is_stronger_than_its_recipe(recipe: str, key: str) -> None:
    other = {"patience_unit": "steps", "keep": "best", "schedule": "linear", "epochs": 7, "max_steps": 7}
    names = {**other, "patience": 7, "reinit_layers": 1, "reinit_of": 12, "validate_every": 7, "clip": 7.0}
    value = {**names, "batch_size": 7, "max_length": 77}.get(key, 0.07)
    given = {"epochs": 9} if key in {"schedule", "warmup"} else {}
    told = slice_of(method="finetune", recipe=recipe, **{**given, key: value})
    assert told[key] == value
    rest = {name: told[name] for name in RECIPES[recipe] if name not in {key, *given}}
    assert rest == {name: RECIPES[recipe][name] for name in rest}


def test_a_given_null_is_stronger_than_a_recipe() -> None:
    told = slice_of(method="finetune", recipe="mosbach", epochs=None, max_steps=50, clip=None)
    assert (told["epochs"], told["max_steps"], told["clip"]) == (None, 50, None)


def test_a_null_where_a_value_is_needed_is_a_mistake() -> None:
    assert mistakes(method="finetune", recipe="zhang", learning_rate=None) == [
        "classifiers.own.learning_rate: None stands there; wanted is number"
    ]


def test_an_unknown_recipe_is_told() -> None:
    (line,) = mistakes(method="finetune", recipe="mosbacher")
    assert line == ("classifiers.own.recipe: 'mosbacher' stands there; wanted is 'hypermix', 'mosbach' or 'zhang'")


@pytest.mark.parametrize("name", [None, 3, ["hypermix"], {"a": 1}])
def test_a_recipe_of_another_kind_is_told(name: Any) -> None:
    (line,) = mistakes(method="tmix", recipe=name)
    assert line.startswith("classifiers.own.recipe: ")


def test_filling_leaves_the_given_mapping_alone() -> None:
    given = {"recipe": "zhang", "batch_size": 1}
    filled = fill(given, "recipe", RECIPES)
    assert given == {"recipe": "zhang", "batch_size": 1}
    assert filled == {**RECIPES["zhang"], **given}
    assert fill("text", "recipe", RECIPES) == "text"


def test_a_recipe_has_every_setting_of_the_others() -> None:
    names = {frozenset(values) for values in RECIPES.values()}
    assert len(names) == 1
    assert set(RECIPES["zhang"]) < set(Finetune.model_fields)
    assert {frozenset(values) for values in MIXINGS.values()} == {
        frozenset({"alpha", "layers", "layers_of", "share_of", "larger"})
    }
    assert set(MIXINGS["mixtext"]) < set(Tmix.model_fields)


# The document.


def documented(first: str) -> dict[str, list[Any]]:
    """Return the cells of a table of the document by setting, without their names."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"\| setting \| {re.escape(first)} .*\n\| --- .*\n((?:\|.*\n)+)", text)
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {name: [yaml.safe_load(cell) for cell in cells] for name, *cells in rows}


def test_the_document_has_the_values_of_the_recipes() -> None:
    told = documented("`hypermix`")
    for name, column in zip(RECIPES, zip(*told.values(), strict=True), strict=True):
        cells = dict(zip(told, column, strict=True))
        plain = {
            **cells,
            **{key: float(cells[key]) for key in ("learning_rate", "epsilon")},
        }  # YAML takes 5e-05 for text
        assert plain == RECIPES[name]


def test_the_document_has_the_values_of_the_mixings() -> None:
    told = documented("`mixing: hypermix`")
    for name, column in zip(MIXINGS, zip(*told.values(), strict=True), strict=True):
        assert dict(zip(told, column, strict=True)) == MIXINGS[name]


# Settings that do not fit each other.


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"min_steps": 9, "max_steps": 8}, ["min_steps of at most max_steps; they are 9 and 8"]),
        ({"patience": None}, ["an end of training: patience, epochs or max_steps; all three are null"]),
        (
            {"schedule": "linear"},
            ["epochs or max_steps beside schedule: linear and warmup: 0.0; both are null"],
        ),
        ({"warmup": 0.1}, ["epochs or max_steps beside schedule: constant and warmup: 0.1; both are null"]),
        (
            {"reinit_layers": 7, "reinit_of": 6},
            ["reinit_layers of at most reinit_of; they are 7 and 6"],
        ),
        (
            {"patience": None, "schedule": "linear", "reinit_layers": 2, "reinit_of": 1},
            [
                "an end of training: patience, epochs or max_steps; all three are null",
                "epochs or max_steps beside schedule: linear and warmup: 0.0; both are null",
                "reinit_layers of at most reinit_of; they are 2 and 1",
            ],
        ),
    ],
)
@pytest.mark.parametrize("method", ["finetune", "tmix"])
def test_settings_that_do_not_fit_are_all_told(method: str, settings: Settings, wanted: list[str]) -> None:
    assert mistakes(method=method, **settings) == [f"classifiers.own: wanted is {'; and '.join(wanted)}"]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"layers": [7, 13]}, "layers from 1 to layers_of; they are [7, 13] of 12"),
        ({"layers": [2, 4], "layers_of": 3}, "layers from 1 to layers_of; they are [2, 4] of 3"),
        ({"layers": [2, 4, 2]}, "layers that each stand there once; they are [2, 4, 2]"),
    ],
)
def test_layers_that_do_not_fit_are_told(settings: Settings, wanted: str) -> None:
    assert mistakes(method="tmix", **settings) == [f"classifiers.own: wanted is {wanted}"]


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("tmix", "layers", []),
        ("tmix", "layers", [0]),
        ("tmix", "alpha", 0.0),
        ("tmix", "share_of", "rows"),
        ("finetune", "synthetic_weight", 0.0),
        ("finetune", "sharpen", 0.0),
        ("finetune", "label_smoothing", 1.0),
        ("finetune", "warmup", 1.0),
        ("finetune", "epochs", 0),
        ("finetune", "targets", "softer"),
        ("finetune", "keep", "first"),
        ("finetune", "clip", 0.0),
        ("finetune", "reinit_layers", -1),
    ],
)
def test_a_value_out_of_bounds_is_told_with_its_key(method: str, key: str, value: Any) -> None:
    (line,) = mistakes(method=method, **{key: value})
    assert line.startswith(f"classifiers.own.{key}")


def test_mixing_belongs_to_tmix() -> None:
    (line,) = mistakes(method="finetune", alpha=1.0)
    assert line.startswith("classifiers.own.alpha: unknown key; ")


# Matched steps.


def test_a_match_is_told_by_name(change: Change) -> None:
    assert matched(load_config(RAW), "minilm") is None
    assert matched(load_config(change("classifiers.minilm.match", "mix2")), "minilm") == "mix2"


def test_an_unknown_match_is_told_beside_other_mistakes() -> None:
    raw = set_key(set_key(RAW, "classifiers.slow.match", "mixx"), "classifiers.minilm.batch_size", 0)
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    known = ", ".join(RAW["augmenters"])
    assert str(caught.value).splitlines()[1:] == [
        "  classifiers.minilm.batch_size: 0 stands there; wanted is greater than or equal to 1",
        f"  classifiers.slow.match: 'mixx' is no key of augmenters; did you mean 'mix'? (known: {known})",
    ]


@pytest.mark.parametrize("value", [3, ["mix"], {"a": "mix"}, "", "a/b"])
def test_a_match_of_another_kind_is_told(change: Change, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"classifiers\.minilm\.match: "):
        load_config(change("classifiers.minilm.match", value))


def test_a_new_augmenter_changes_no_matched_slice(change: Change) -> None:
    raw = change("classifiers.minilm.match", "mix")
    wider = set_key(raw, "augmenters.copy2", {"method": "duplicate", "multiplier": 9.0})
    assert train_slice(load_config(wider), "minilm") == train_slice(load_config(raw), "minilm")


@pytest.mark.parametrize(
    ("narrowing", "where"),
    [
        ({"only": [{"augmenter": "none"}]}, "dataset rt, subsample 16s, data_seed 2746317213, trial 7"),
        ({"except": [{"augmenter": "mix"}]}, "dataset rt, subsample 16s, data_seed 2746317213, trial 7"),
        (
            {"except": [{"augmenter": "mix", "dataset": "mine", "trial": 8}]},
            "dataset mine, subsample 16s, data_seed 2746317213, trial 8",
        ),
    ],
)
def test_a_match_whose_rows_no_run_makes_is_refused(change: Change, narrowing: Settings, where: str) -> None:
    config = load_config({**change("classifiers.minilm.match", "mix"), **narrowing})
    with pytest.raises(ConfigError) as caught:
        runs(config)
    assert str(caught.value) == (
        f"classifiers.minilm.match: only and except leave no run of the augmenter 'mix' for {where}; leave one in, or "
        "match another augmenter"
    )


@pytest.mark.parametrize(
    "narrowing",
    [
        {},
        {"only": [{"augmenter": "none"}, {"augmenter": "mix"}]},
        {"except": [{"dataset": "mine"}]},
        {"except": [{"classifier": "minilm"}]},
        # The other classifier makes the rows.
        {"except": [{"augmenter": "mix", "classifier": "minilm"}]},
    ],
)
def test_a_match_whose_rows_are_made_is_fine(change: Change, narrowing: Settings) -> None:
    assert runs(load_config({**change("classifiers.minilm.match", "mix"), **narrowing}))
