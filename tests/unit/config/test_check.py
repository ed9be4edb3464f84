from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.config.check import augmenters_in_use, find_mistakes
from hypermix.config.load import load_config
from hypermix.errors import ConfigError
from tests.unit.config.conftest import RAW, Change, set_key

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
NO_PRICE = (
    "price: must be given, since budget.usd caps the dollars: price: {input: DOLLARS, output: DOLLARS, as_of: DAY}, "
    "for a million tokens; or take budget.usd away"
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def without_prices(*names: str) -> dict[str, Any]:
    raw = RAW
    for name in names:
        raw = set_key(raw, f"llms.{name}.price", None)
    return raw


def test_a_fine_config_has_no_mistakes() -> None:
    assert list(find_mistakes(RAW)) == []


@pytest.mark.parametrize("name", ["luna", "server", "cheap"])
@pytest.mark.parametrize("usd", [0, 5.0])
def test_a_cap_in_dollars_needs_a_price(name: str, usd: float) -> None:
    raw = set_key(without_prices(name), "budget.usd", usd)

    assert list(find_mistakes(raw)) == [f"llms.{name}.{NO_PRICE}"]


def test_each_model_without_a_price_is_told_beside_other_mistakes() -> None:
    raw = set_key(without_prices("luna", "server", "cheap"), "classifiers.minilm.batch_size", 0)
    with pytest.raises(ConfigError) as caught:
        load_config(raw)

    assert str(caught.value).splitlines() == [
        "the config has 4 mistakes:",
        "  classifiers.minilm.batch_size: 0 stands there; wanted is greater than or equal to 1",
        *(f"  llms.{name}.{NO_PRICE}" for name in ("luna", "server", "cheap")),
    ]


@pytest.mark.parametrize("budget", [{}, {"usd": None}, {"requests": 10, "tokens": 10}])
def test_other_caps_need_no_price(budget: dict[str, Any]) -> None:
    raw = {**without_prices("luna", "server", "cheap"), "budget": budget}

    assert load_config(raw).budget.usd is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("augmenters.talk", None),
        ("augmenters.talk.llm", "local"),
        ("except", [{"augmenter": "talk"}]),
        ("only", [{"augmenter": "none"}, {"augmenter": "mix", "dataset": "rt"}]),
    ],
)
def test_a_model_that_nothing_asks_needs_no_price(path: str, value: Any) -> None:
    load_config(set_key(without_prices("luna"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("except", [{"augmenter": "talk", "dataset": "rt"}]),
        ("only", [{"augmenter": "talk", "dataset": "rt"}]),
        ("only", [{"augmenter": "none"}, {"dataset": "rt"}]),
    ],
)
def test_a_model_that_some_runs_ask_needs_a_price(path: str, value: Any) -> None:
    assert list(find_mistakes(set_key(without_prices("luna"), path, value))) == [f"llms.luna.{NO_PRICE}"]


def test_models_that_run_here_need_no_price(change: Change) -> None:
    augmenters = {"mix": RAW["augmenters"]["mix"], "here": RAW["augmenters"]["here"]}

    load_config({**change("report", {}), "augmenters": augmenters, "budget": {"usd": 1.0}})


@pytest.mark.parametrize(
    ("only", "left_out", "used"),
    [
        ([], [], ["a", "b", "c"]),
        ([{"augmenter": "b"}], [], ["b"]),
        ([{"augmenter": "c", "trial": 1}, {"augmenter": "a"}], [], ["a", "c"]),
        ([{"augmenter": "b"}, {"trial": 1}], [], ["a", "b", "c"]),
        ([], [{"augmenter": "b"}], ["a", "c"]),
        ([], [{"augmenter": "b", "trial": 1}], ["a", "b", "c"]),
        ([{"augmenter": "b"}], [{"augmenter": "b"}], []),
        (None, 5, ["a", "b", "c"]),
        ([3], ["b"], ["a", "b", "c"]),
    ],
)
def test_augmenters_in_use(only: Any, left_out: Any, used: list[str]) -> None:
    assert augmenters_in_use(["a", "b", "c"], only, left_out) == used


FITTING = {
    "scoring": {"server", "own"},
    "decisions": {"luna"},
    **{source: set(RAW["llms"]) for source in ("logprobs", "classify", "vote")},
}


@pytest.mark.parametrize("llm", sorted(RAW["llms"]))
@pytest.mark.parametrize("source", sorted(FITTING))
def test_a_label_source_needs_an_endpoint_that_can_give_it(source: str, llm: str) -> None:
    raw = set_key(RAW, "augmenters.new", {"method": "gpt3mix", "llm": llm, "label_source": source})
    found = list(find_mistakes(raw))

    assert bool(found) is (llm not in FITTING[source])
    assert all(line.startswith(f"augmenters.new.label_source: '{source}' stands there; ") for line in found)


def test_an_unfit_label_source_is_worded() -> None:
    raw = set_key(RAW, "augmenters.night.label_source", "decisions")

    assert list(find_mistakes(raw)) == [
        "augmenters.night.label_source: 'decisions' stands there; an endpoint with api: batch, such as llms.cheap, "
        "cannot give it; wanted is one with api: chat, or another source"
    ]


@STEADY
@given(st.sampled_from(["llms", "augmenters", "budget", "only", "except", "datasets", "seeds", "report"]), ANY)
def test_any_section_gives_lines(section: str, value: Any) -> None:
    assert all(isinstance(line, str) for line in find_mistakes({**RAW, section: value}))


@STEADY
@given(st.sampled_from(["api", "price", "llm", "label_source", "usd"]), ANY)
def test_any_setting_gives_lines(key: str, value: Any) -> None:
    raw = {**RAW, "budget": {"usd": 1.0}, "llms": {"a": {"api": "chat", key: value}, "b": value}}
    raw["augmenters"] = {"x": {"llm": "a", "label_source": "scoring", key: value}, "y": value}

    assert all(isinstance(line, str) for line in find_mistakes(raw))


@pytest.mark.parametrize("method", ["real", "shuffle"])
def test_a_bound_is_not_exported(method: str) -> None:
    raw = set_key(set_key(RAW, "augmenters.bound", {"method": method}), "export.augmenter", "bound")
    (told,) = find_mistakes(raw)

    assert told == (
        f"export.augmenter: 'bound' is of method {method}, a control that others are held against; wanted is another, "
        "or null"
    )


@pytest.mark.parametrize(
    ("key", "name", "line"),
    [
        ("dataset", "mien", "export.dataset: 'mien' is no key of datasets; did you mean 'mine'? (known: rt, mine, "),
        ("augmenter", "mux", "export.augmenter: 'mux' is no key of augmenters; did you mean 'mix'? (known: none, "),
        ("classifier", "bert", "export.classifier: 'bert' is no key of classifiers; known: minilm, slow"),
    ],
)
def test_what_is_exported_must_be_there(key: str, name: str, line: str) -> None:
    (told,) = find_mistakes(set_key(RAW, f"export.{key}", name))

    assert told.startswith(line)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("license", "Apache 2.0\nx: y", "the hub's name of a license, such as apache-2.0, cc-by-4.0 or other"),
        ("license", "", "the hub's name of a license"),
        ("language", "English", "the code of a language, such as en, or multilingual"),
        ("augmenter", "a/b", "in a name letters, digits, - and _ alone"),
    ],
)
def test_what_the_card_says_has_the_hubs_form(key: str, value: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(set_key(RAW, f"export.{key}", value))

    assert f"export.{key}: {value!r} stands there; wanted is " in str(caught.value)
    assert wanted in str(caught.value)


@pytest.mark.parametrize("license_id", ["mit", "apache-2.0", "cc-by-nc-sa-4.0", "other"])
@pytest.mark.parametrize("language", ["en", "deu", "multilingual"])
def test_licenses_and_languages_of_the_hub_are_taken(license_id: str, language: str) -> None:
    config = load_config(set_key(set_key(RAW, "export.license", license_id), "export.language", language))

    assert (config.export.license, config.export.language) == (license_id, language)


def test_an_exported_augmenter_that_no_run_has_needs_a_price_too() -> None:
    raw = {**without_prices("luna"), "except": [{"augmenter": "talk"}]}
    assert list(find_mistakes(raw)) == []

    assert list(find_mistakes(set_key(raw, "export.augmenter", "talk"))) == [f"llms.luna.{NO_PRICE}"]
