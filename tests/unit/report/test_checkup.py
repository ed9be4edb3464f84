"""The lines of a checkup: their words say all, whatever the terminal."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.errors import LlmError
from hypermix.report.checkup import Finding, checkup_text, read_error

FOUND = [
    Finding("ok", "python", "3.12.1"),
    Finding("warning", "llm luna", "price unknown", "write llms.luna.price"),
    Finding("to do", "llm luna", "the key was refused " * 8, "check the llm's key in the config"),
]
COLORS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_lines_fit_and_say_all(width: int) -> None:
    text = checkup_text(FOUND, width)
    assert max(map(len, text.splitlines())) <= max(width, 40)
    joined = " ".join(text.split())
    assert "-> write llms.luna.price" in joined
    assert text.splitlines()[0].split() == ["ok", "python", "3.12.1"]
    assert [line.split()[0] for line in text.splitlines() if re.match("ok|warning|to do", line)] == [
        "ok", "warning", "to",
    ]  # fmt: skip


def test_colors_change_no_word() -> None:
    plain, colored = checkup_text(FOUND, 80), checkup_text(FOUND, 80, color=True)
    assert "\x1b" not in plain
    assert {"\x1b[32mok", "\x1b[33mwarning", "\x1b[1;31mto do"} <= set(
        re.findall(r"\x1b\[[0-9;]*m[a-z ]+[a-z]", colored)
    )
    stripped = COLORS.sub("", colored)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ([], "Everything is fine."),
        (["ok"], "Everything is fine."),
        (["ok", "warning"], "Nothing is to be done, 1 warning."),
        (["to do", "warning", "warning"], "1 to do before a run, 2 warnings."),
        (["to do", "to do"], "2 to do before a run, 0 warnings."),
    ],
)
def test_last_line_counts(levels: list[str], wanted: str) -> None:
    found = [Finding(level, "x", "y", "z") for level in levels]  # type: ignore[arg-type]
    assert checkup_text(found, 80).splitlines()[-1] == wanted


@settings(max_examples=40)
@given(st.text(), st.text(), st.integers(0, 100))
def test_hostile_words_move_nothing(told: str, todo: str, width: int) -> None:
    text = checkup_text([Finding("to do", told, told, todo)], width)
    moving = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [character for character in text if character != "\n" and unicodedata.category(character) in moving]


def test_markup_is_text() -> None:
    assert "[red]no[/red] :smile:" in checkup_text([Finding("ok", "x", "[red]no[/red] :smile:")], 80)


@pytest.mark.parametrize(
    ("message", "told", "todo"),
    [
        ("it is wrong; mend it", "it is wrong", "mend it"),
        ("a; b; mend it", "a; b", "mend it"),
        ("it is wrong", "it is wrong", ""),
    ],
)
def test_error_becomes_a_finding(message: str, told: str, todo: str) -> None:
    assert read_error("x", LlmError(message)) == Finding("to do", "x", told, todo)
    assert read_error("x", LlmError(message), "warning").level == "warning"
