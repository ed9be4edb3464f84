from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.report import format as words

ABSENT: list[Any] = [None, math.nan, pd.NA, np.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", ABSENT)
def test_absent_numbers_are_not_defined(value: Any) -> None:
    assert not words.is_defined(value)
    assert words.percent(value) == words.points(value) == words.decimal(value) == words.NOT_DEFINED
    assert words.p_value(value) == words.count(value) == words.NOT_DEFINED
    assert words.interval(value, 0.5) == words.interval(0.5, value) == words.NOT_DEFINED


@pytest.mark.parametrize("value", ABSENT)
def test_absent_price_is_unknown(value: Any) -> None:
    assert words.dollars(value) == "unknown"


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.012, "+1.2"), (-0.012, "-1.2"), (0.0, "0.0"), (-0.0001, "0.0"), (0.0001, "0.0"), (1.0, "+100.0")],
)
def test_points_always_show_their_sign(difference: float, text: str) -> None:
    assert words.points(difference) == text


def test_percent_has_one_decimal() -> None:
    assert words.percent(0.7125) == "71.2"
    assert words.percent(-0.0) == "0.0"
    assert words.percent(np.float64(1.0)) == "100.0"


def test_decimal_has_asked_digits() -> None:
    assert words.decimal(0.12345) == "0.123"
    assert words.decimal(0.12345, 2) == "0.12"


def test_interval_names_both_bounds() -> None:
    assert words.interval(0.68, 0.746) == "68.0 to 74.6"
    assert words.interval(-0.03, 0.054, signed=True) == "-3.0 to +5.4"


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.25, "p = 0.25"), (1.0, "p = 1.00"), (0.03125, "p = 0.031"), (0.001, "p = 0.001"), (0.0009, "p < 0.001")],
)
def test_small_p_gets_more_digits(p: float, text: str) -> None:
    assert words.p_value(p) == text


def test_thousands_have_thin_spaces() -> None:
    assert words.count(1234567) == "1\u202f234\u202f567"
    assert words.count(999) == "999"
    assert words.count(14.0) == "14"


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0, "0.00"), (0.01, "0.01"), (1234.5, "1\u202f234.50"), (0.000071, "0.000071"), (0.0049, "0.0049")],
)
def test_small_dollars_keep_two_digits(usd: float, text: str) -> None:
    assert words.dollars(usd) == text


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_spent_dollars_never_read_zero(usd: float) -> None:
    assert float(words.dollars(usd).replace("\u202f", "")) > 0


@given(st.text(), st.integers(min_value=3, max_value=40))
def test_shortened_text_keeps_both_ends(text: str, length: int) -> None:
    short = words.shortened(text, length)
    assert len(short) == min(len(text), length)
    assert short == text or (short[0] == text[0] and short[-1] == text[-1] and "…" in short)
