from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime, formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.llm.waits import exhausted_for, wait_of

NOW = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the date of the HTTP standard."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-4"}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"Retry-After-Ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT"}, 60),
        ({"retry-after": "Sun Nov  6 08:50:37 1994"}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:40:37 GMT"}, 0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "Date": "yesterday"}, 60),
        ({"retry-after": "5", "date": "Sun, 06 Nov 1994 08:50:07 GMT"}, 5),
    ],
)
def test_wait_is_read(headers: dict[str, str], seconds: float) -> None:
    assert wait_of(headers, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "nan",
        "inf",
        "1e3",
        "1_000",
        "0x10",
        "7 s",
        "٧",
        "5,5",
        "9" * 100,
        "Sun, 99 Nov 1994",
        "--1",
        ".",
    ],
)
def test_garbage_is_no_wait(value: str) -> None:
    assert wait_of({"retry-after": value}, NOW) is None
    assert wait_of({"retry-after-ms": value}, NOW) is None


def test_silence_is_no_wait() -> None:
    assert wait_of({}, NOW) is None
    assert wait_of({"date": formatdate(NOW, usegmt=True)}, NOW) is None


@given(st.integers(0, 4_000_000_000), st.integers(-100_000, 100_000))
def test_date_is_as_long_as_its_seconds(now: int, seconds: int) -> None:
    headers = {"retry-after": formatdate(now + seconds, usegmt=True)}
    assert wait_of(headers, now) == max(0, seconds)
    assert wait_of({**headers, "date": formatdate(now, usegmt=True)}, now + 12345) == max(0, seconds)


@given(st.floats(0, 1e9).map(lambda number: f"{number:.3f}"))
def test_number_is_read_as_it_stands(text: str) -> None:
    assert wait_of({"retry-after": text}, NOW) == float(text)
    assert wait_of({"retry-after-ms": text}, NOW) == float(text) / 1000


WORDS = st.sampled_from(
    ["Sun,", "06", "Nov", "1994", "08:49:37", "GMT", "+9999", "-0000", "99999999999", ":", "-", "0", "1h", "²", "\0"]
)
HOSTILE = st.text(max_size=80) | st.lists(WORDS, max_size=9).map(" ".join)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_header_breaks_the_reading(first: str, second: str, third: str) -> None:
    wait = wait_of({"retry-after": first, "retry-after-ms": second, "date": third}, NOW)
    assert wait is None or wait >= 0
    limit = exhausted_for({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": first})
    assert limit is None or limit >= 0


@given(st.datetimes())
def test_any_date_is_a_wait(date: datetime) -> None:
    wait = wait_of({"retry-after": format_datetime(date)}, NOW)
    assert wait is not None


# Limits that are used up.


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3s", 3723),
        ("7.66s", 7.66),
        ("2m59.56s", 179.56),
        ("1d", 86400),
        ("0s", 0),
        ("12", 12),
        ("59.5", 59.5),
        ("1m500ms", 60.5),
    ],
)
@pytest.mark.parametrize("limit", ["requests", "tokens"])
def test_reset_is_read(limit: str, reset: str, seconds: float) -> None:
    headers = {f"X-RateLimit-Remaining-{limit}": "0", f"x-ratelimit-reset-{limit}": reset}
    assert exhausted_for(headers) == pytest.approx(seconds)


def test_longest_of_the_used_up_limits_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "5s",
    }
    assert exhausted_for(headers) == 5
    assert exhausted_for({**headers, "x-ratelimit-remaining-tokens": "1"}) == 2
    assert exhausted_for({**headers, "x-ratelimit-reset-tokens": "?"}) == 2


@pytest.mark.parametrize(
    ("remaining", "reset"),
    [("1", "5s"), ("59", "1s"), ("", "5s"), ("none", "5s"), ("0", ""), ("0", "soon"), ("0", "5x"), ("0", "5s?")],
)
def test_what_is_not_used_up_or_not_told_is_no_wait(remaining: str, reset: str) -> None:
    headers = {"x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}
    assert exhausted_for(headers) is None


def test_half_of_the_headers_is_no_wait() -> None:
    assert exhausted_for({}) is None
    assert exhausted_for({"x-ratelimit-remaining-tokens": "0"}) is None
    assert exhausted_for({"x-ratelimit-reset-tokens": "5s"}) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    reset = f"{hours}h{minutes}m{seconds}s{thousandths}ms"
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": reset}
    assert exhausted_for(headers) == pytest.approx(hours * 3600 + minutes * 60 + seconds + thousandths / 1000)
