from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config  # type: ignore[import-untyped]

from hypermix.config.load import load_config, merge, variant_models, without_removed
from hypermix.config.model import Config
from hypermix.errors import ConfigError
from tests.architecture.source import ROOT
from tests.unit.config.conftest import RAW, Change, mistakes, set_key

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "gpt3mix", "16s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "rt", "method", "llm", "data", "train", "dataset"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """List the paths to all parts of a config."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*before, key)
        yield from paths(part, (*before, key))


def test_default_config_is_fine() -> None:
    config = load_config(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))

    assert list(config.augmenters) == ["none", "duplicate", "gpt3mix"]


def test_defaults_are_given(raw: dict[str, Any]) -> None:
    config = load_config(raw)

    assert (config.results, config.subsample.validation, config.subsample.test) == ("results", "32s", None)
    assert config.seeds.design == "crossed"
    assert config.only == config.except_ == []


def test_loading_leaves_the_mapping_alone(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    load_config(raw)

    assert raw == before


def test_null_variant_is_removed(change: Change) -> None:
    kept = [name for name in RAW["augmenters"] if name != "mix"]
    assert list(load_config(change("augmenters.mix", None)).augmenters) == kept
    assert list(load_config(change("datasets.rt", None)).datasets) == ["mine", "tone", "known"]
    assert list(load_config(change("classifiers.slow", None)).classifiers) == ["minilm", "quick", "pairs"]


def test_removed_llm_is_missed_where_used(change: Change) -> None:
    assert mistakes(change("llms.local", None)) == [
        "augmenters.mix.llm: 'local' is no key of llms; known: other, luna, server, cheap, own"
    ]


def test_removing_all_variants_is_a_mistake(change: Change) -> None:
    (line,) = mistakes(change("classifiers", {"minilm": None}))

    assert line == "classifiers: {} stands there; wanted is at least one entry"


def test_removal_leaves_other_nulls(raw: dict[str, Any]) -> None:
    raw = set_key(set_key(raw, "subsample.validation", None), "llms.local", None)
    kept = without_removed(raw)

    assert kept["subsample"]["validation"] is None
    assert "local" not in kept["llms"]
    assert "local" in raw["llms"]


@pytest.mark.parametrize("seeds", [[1], [0, 2**32 - 1], {"master": 0, "count": 1}, {}])
def test_seeds_are_list_or_plan(change: Change, seeds: Any) -> None:
    assert load_config(change("seeds.data", seeds)).seeds.trials == [7, 8]


@pytest.mark.parametrize("size", ["1s", "32s", "0.01f", ".5f", "0.5f", "1.0f", "1.f"])
def test_sizes_of_reference_are_taken(change: Change, size: str) -> None:
    assert load_config(change("subsample.train", [size])).subsample.train == [size]


def test_space_around_words_is_dropped(change: Change) -> None:
    config = load_config(change("datasets.rt.label_words", {"positive": " good "}))

    assert config.datasets["rt"].label_words == {"positive": "good"}
    assert "wanted is text that is not empty" in mistakes(change("datasets.rt.text_type", "  "))[0]


def test_whole_number_is_a_float(change: Change) -> None:
    assert load_config(change("augmenters.mix.multiplier", 2)).augmenters["mix"].model_dump()["multiplier"] == 2.0


@STEADY
@given(st.sampled_from(list(paths(RAW))), VALUES)
def test_any_value_gives_config_or_mistakes(path: tuple[str | int, ...], value: Any) -> None:
    raw = copy.deepcopy(RAW)
    here: Any = raw
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value

    with contextlib.suppress(ConfigError):  # any other error fails the test
        assert isinstance(load_config(raw), Config)


@STEADY
@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_merge_equals_snakemakes(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    expected = copy.deepcopy(base)
    update_config(expected, copy.deepcopy(overlay))

    assert merge(base, overlay) == expected


def test_merge_goes_down_by_key() -> None:
    base = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}

    assert merge(base, {"a": {"y": {"w": 3}}, "b": [3], "c": 4}) == {
        "a": {"x": 1, "y": {"z": 2, "w": 3}},
        "b": [3],
        "c": 4,
    }
    assert base == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}


def test_variants_are_listed_by_tag() -> None:
    assert list(variant_models("datasets")) == ["packaged", "file", "hub", "registry"]
    assert list(variant_models("llms")) == ["embedded", "completions", "chat", "batch", "transformers"]
    assert list(variant_models("augmenters"))[:2] == ["none", "duplicate"]
    assert {"gpt3mix", "paraphrase", "template", "custom"} <= set(variant_models("augmenters"))
    assert list(variant_models("classifiers")) == ["finetune", "tmix", "probe", "setfit", "custom"]
