from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.llm.local.body import Body, BodyError, read_body

PLAIN = {"prompt": "a"}


def refused(**body: Any) -> BodyError:
    with pytest.raises(BodyError) as caught:
        read_body({**PLAIN, **body})
    assert "\n" not in str(caught.value)
    return caught.value


def test_defaults_are_those_of_openai() -> None:
    read = read_body(PLAIN)
    assert (read.max_tokens, read.temperature, read.top_p, read.n, read.stop) == (16, 1.0, 1.0, 1, [])
    assert read.logprobs is None


def test_null_counts_as_not_given() -> None:
    assert read_body({"prompt": "a", "stop": None, "seed": None, "n": None, "logprobs": None}) == read_body(PLAIN)


@pytest.mark.parametrize(("given", "read"), [("\n", ["\n"]), (["\n", "END"], ["\n", "END"]), ([], [])])
def test_stop_is_a_text_or_a_list(given: object, read: list[str]) -> None:
    assert read_body({**PLAIN, "stop": given}).stop == read


def test_whole_numbers_may_stand_for_fractions() -> None:
    assert read_body({**PLAIN, "temperature": 0, "top_p": 1}).temperature == 0.0


@pytest.mark.parametrize("name", ["presence_penalty", "logit_bias", "best_of", "stream", "Prompt", "", "{0}"])
def test_unknown_setting_is_refused_by_name(name: str) -> None:
    error = refused(**{name: 1})
    assert f"does not know the setting {name!r}" in str(error)
    assert "frequency_penalty" in str(error)
    assert (error.param, error.fatal) == (name, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", ["a", "b"]),
        ("prompt", [1, 2]),
        ("prompt", "\ud800"),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("max_tokens", "16"),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("frequency_penalty", 3),
        ("stop", [""]),
        ("stop", [1]),
        ("seed", 1.0),
        ("logprobs", -1),
        ("logprobs", True),
        ("echo", 1),
        ("n", 0),
    ],
)
def test_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    error = refused(**{name: value})
    assert f"cannot take the setting {name!r}" in str(error)
    assert (error.param, error.fatal) == (name, True)


def test_missing_prompt_is_told() -> None:
    with pytest.raises(BodyError, match=r"'prompt' of a request \(it is missing\)"):
        read_body({"max_tokens": 3})


def test_no_token_at_all_needs_an_echo() -> None:
    assert refused(max_tokens=0).param == "max_tokens"
    assert read_body({**PLAIN, "max_tokens": 0, "echo": True}).echo


def test_long_value_is_cut_in_the_message() -> None:
    assert len(str(refused(seed="x" * 10_000))) < 400


@given(st.dictionaries(st.sampled_from([*Body.model_fields, "other"]), st.none() | st.integers() | st.text()))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        read: Body | None = read_body(body)
    except BodyError:
        read = None
    known = body.get("other") is None and isinstance(body.get("prompt"), str)
    assert read is None or (known and read.prompt == body["prompt"])
