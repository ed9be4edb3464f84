from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from hypermix.augment.filter import Filter, Grounds
from hypermix.augment.language import LanguageFilter
from hypermix.config.filter import Filters
from hypermix.data.neighbor import Neighbors, shingle
from hypermix.errors import AugmentError
from hypermix.records import Example, SyntheticRow

LONG = "the film is a slow and careful study of two people who never quite learn to talk to each other"
NEAR = LONG.replace("careful", "careless")
EXAMPLES = [
    Example("e0", "a fine film with a plot that nobody will ever forget in a hundred years", "good"),
    Example("e1", "dull from the first minute to the last one and far too long for what it tells", "bad"),
    Example("e2", "一部非常无聊的电影我看了十分钟就睡着了", "bad"),
    Example("e3", "פילם נהדר עם משחק מצוין ועלילה מרתקת מאוד", "good"),
]
LABELS = 2


def row(text: str | None, index: int = 0, **more: Any) -> SyntheticRow:
    fields = {"label": "good", "soft_label": None, "label_source": None, "label_mass": None, "source_ids": ()}
    return SyntheticRow(index=index, text=text, request_key=None, reason=None, **{**fields, **more})


def build(examples: Sequence[Example] = EXAMPLES, tested: Sequence[str] = (), **settings: Any) -> Filter:
    """Build filters as `hypermix.steps.sieve` does, without files."""
    chosen = Filters(**{"copies": "near", **settings}).model_dump()
    least = {"near": chosen["similarity"], "exact": 1.0, "keep": None}

    def index(name: str, texts: Sequence[str] = ()) -> Neighbors | None:
        threshold = least[chosen[name]]
        if threshold is None:
            return None
        made = Neighbors(threshold)
        made.extend([pa.array(list(texts), pa.string())])
        return made

    foreign = None if chosen["language"] is None else LanguageFilter(chosen["language"]).refuses
    grounds = Grounds(
        shingle,
        train=index("copies", [example.text for example in examples]),
        test=index("leaks", tested),
        kept=index("copies"),
        waiting=index("copies"),
        foreign=foreign,
    )
    return Filter(chosen, examples, LABELS, grounds)


def settle(sieve: Filter, *rows: SyntheticRow) -> list[str | None]:
    """Let rows come in their order, and tell why each is refused."""
    reasons = []
    for one in rows:
        reason = sieve.judge(one) or sieve.compare(one)
        if reason is None:
            assert sieve.keep(one) == {}
        reasons.append(reason)
    return reasons


# A row by itself.


@pytest.mark.parametrize("text", [None, "", "  \n\t", "\u200b\u200f\ufeff", "\x00\x07", "\u3000"])
def test_what_shows_nothing_is_empty(text: str | None) -> None:
    assert build().judge(row(text)) == "empty"


@pytest.mark.parametrize("text", ["!", "😀", "这", "ب", "0", "."])
def test_what_shows_something_is_not(text: str) -> None:
    assert build(longest=None).judge(row(text)) is None


def test_length_is_measured_by_the_longest_real_row() -> None:
    sieve = build(longest=2.0)
    most = 2 * max(len(example.text) for example in EXAMPLES)
    assert sieve.judge(row("x" * most)) is None
    assert sieve.judge(row("x" * (most + 1))) == "too long"
    assert build(longest=None).judge(row("x" * 9999)) is None


@pytest.mark.parametrize(
    ("text", "sources", "reason"),
    [
        (EXAMPLES[0].text.upper() + "!", ("e0", "e1"), "copy of a prompt example"),
        (EXAMPLES[0].text, ("e1",), "copy of a train row"),
        (EXAMPLES[1].text.replace("dull", "boring"), ("e1",), "near copy of a prompt example"),
        (EXAMPLES[1].text.replace("dull", "boring"), (), "near copy of a train row"),
        (EXAMPLES[2].text + "。", ("e2",), "copy of a prompt example"),
        (EXAMPLES[2].text.replace("十", "三"), (), "near copy of a train row"),
        ("\u200f" + EXAMPLES[3].text, (), "copy of a train row"),
        ("a film that nobody will ever forget", ("e0",), None),
    ],
)
def test_copies_of_real_rows_are_refused(text: str, sources: tuple[str, ...], reason: str | None) -> None:
    assert build().judge(row(text, source_ids=sources)) == reason


def test_exact_and_keep_take_what_they_say() -> None:
    copy, near = row(EXAMPLES[1].text), row(EXAMPLES[1].text.replace("dull", "boring"))
    assert [build(copies="exact").judge(one) for one in (copy, near)] == ["copy of a train row", None]
    sieve = build(copies="keep")
    assert settle(sieve, copy, near, row(copy.text, 2)) == [None, None, None]


def test_test_rows_are_never_trained_on() -> None:
    rows = [row(LONG), row(NEAR), row(EXAMPLES[0].text)]
    assert [build(tested=[LONG]).judge(one) for one in rows] == ["test row", "near a test row", "copy of a train row"]
    assert [build(tested=[LONG], leaks="exact").judge(one) for one in rows[:2]] == ["test row", None]
    assert [build(tested=[LONG], leaks="keep").judge(one) for one in rows[:2]] == [None, None]
    # A leak is told as one, whatever else the row is.
    assert build(tested=[EXAMPLES[0].text]).judge(rows[2]) == "test row"


def test_similarity_is_the_bound() -> None:
    assert build(tested=[LONG], similarity=37 / 43 - 0.001).judge(row(NEAR)) == "near a test row"
    assert build(tested=[LONG], similarity=37 / 43 + 0.001).judge(row(NEAR)) is None


@pytest.mark.parametrize(("mass", "reason"), [(0.2, "label mass too low"), (0.5, None), (None, None)])
def test_label_mass_has_a_bound(mass: float | None, reason: str | None) -> None:
    assert build(least_mass=0.5).judge(row("a good one", label_mass=mass)) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A slow film about two people who never learn to talk.", None),
        ("Ein langsamer Film über zwei Menschen, die nie miteinander reden lernen.", "wrong language"),
        ("这是一部关于两个人的电影，他们从来没有学会交谈。", "wrong language"),
        ("فيلم بطيء عن شخصين لا يتعلمان الحديث أبدا", "wrong language"),
        ("ok", None),
        ("😀😀😀", None),
    ],
)
def test_another_language_is_refused(text: str, reason: str | None) -> None:
    assert build(longest=None, language="en").judge(row(text)) == reason


def test_unknown_language_is_told_with_the_known_ones() -> None:
    with pytest.raises(AugmentError, match=r"filters\.language: py3langid knows no 'xx'; .*known: .*en, .*fr, "):
        LanguageFilter("xx")


# Rows beside each other.


def test_rows_are_compared_with_the_kept_ones_before_them() -> None:
    rows = [row(LONG, 0), row(LONG + ".", 1), row(NEAR, 2), row("quite another text", 3)]
    reasons = [None, "copy of a synthetic row", "near copy of a synthetic row", None]
    assert settle(build(), *rows) == reasons


def test_one_that_was_refused_speaks_against_none() -> None:
    rows = [row(LONG, 0, label_mass=0.1), row(LONG, 1, label_mass=0.9)]
    assert settle(build(least_mass=0.5), *rows) == ["label mass too low", None]


def test_waiting_rows_are_told_by_the_one_that_is_kept() -> None:
    sieve = build()
    for index, text in ((1, LONG), (2, NEAR), (3, "quite another text")):
        sieve.wait(row(text, index))
    assert sieve.keep(row(LONG, 0)) == {1: "copy of a synthetic row", 2: "near copy of a synthetic row"}
    assert sieve.keep(row("quite another text", 3)) == {}
    assert sieve.compare(row("quite another text!", 4)) == "copy of a synthetic row"


@pytest.mark.parametrize("text", ["😀😀😀", "مرحبا", "好看", "!!!"])
def test_one_sentence_for_ever_is_kept_once(text: str) -> None:
    reasons = settle(build(), *[row(text, index) for index in range(6)])
    assert reasons == [None, *["copy of a synthetic row"] * 5]


# A quota.


def test_quota_bounds_each_class_in_each_round() -> None:
    sieve = build(quota=1.0)  # 4 real rows, 2 labels: 2 of a class in a round of 4
    rows = [row(f"text {index} of its own", index, label="good" if index != 3 else "bad") for index in range(10)]
    full = "class is full"
    assert settle(sieve, *rows) == [None, None, full, None, None, None, full, full, None, None]


@pytest.mark.parametrize(("quota", "most"), [(1.0, 3), (1.2, 3), (1.5, 4), (2.0, 5), (9.0, 10)])
def test_quota_is_rounded_up(quota: float, most: int) -> None:
    examples = [Example(f"e{index}", f"real {index}", "good") for index in range(5)]  # an equal share is 2.5
    reasons = settle(build(examples, quota=quota), *[row(f"made {index}", index) for index in range(5)])
    assert reasons.count(None) == min(most, 5)


def test_a_full_class_refuses_those_that_wait_in_its_round() -> None:
    sieve = build(quota=1.0)
    for index, label in ((2, "good"), (3, "bad"), (4, "good")):
        sieve.wait(row(f"waits {index}", index, label=label))
    assert sieve.keep(row("first", 0)) == {}
    assert sieve.keep(row("second", 1)) == {2: "class is full"}


def test_the_first_row_that_speaks_against_it_gives_the_reason() -> None:
    # Row 1 fills the class, row 3 is like row 4: who comes late hears the same reason as who waited.
    early, late = build(quota=1.0), build(quota=1.0)
    rows = [row("one", 0), row("two", 1), row(LONG, 2, label="bad")]
    last = row(LONG, 3)
    early.wait(last)
    told = {index: reason for one in rows for index, reason in early.keep(one).items()}
    assert settle(late, *rows, last)[-1] == told[3] == "class is full"
    early, late = build(quota=1.0), build(quota=1.0)
    rows = [row("one", 0), row(LONG, 1, label="bad"), row("two", 2)]
    early.wait(last)
    told = {index: reason for one in rows for index, reason in early.keep(one).items()}
    assert settle(late, *rows, last)[-1] == told[3] == "copy of a synthetic row"
