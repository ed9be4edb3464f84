from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hypermix.report.latex import _SPECIAL, escaped

BACK = {written: sign for sign, written in _SPECIAL.items()}
SPECIAL = "\\{}$&#^_%~"


def read(text: str) -> str:
    """Read LaTeX back: the inverse of `escaped`, but for signs that became a space."""
    found = re.findall("|".join(map(re.escape, sorted(BACK, key=len, reverse=True))) + "|.", text)
    return "".join(BACK.get(part, part) for part in found)


def visible(text: str) -> str:
    return "".join(" " if unicodedata.category(sign)[0] in "CZ" and sign not in _SPECIAL else sign for sign in text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="–’“”-'`,~")))
def test_a_text_can_be_read_back(text: str) -> None:
    assert read(escaped(text)) == visible(text)


@given(st.text(SPECIAL + 'ab<>|"[]*\u202f\u00a0'))
def test_no_special_sign_is_left_bare(text: str) -> None:
    rest = re.sub("|".join(map(re.escape, sorted(_SPECIAL.values(), key=len, reverse=True))), "", escaped(text))
    assert not set(rest) & set(SPECIAL)


@given(st.text())
def test_braces_are_balanced_and_one_line(text: str) -> None:
    bare = re.sub(r"\\[\\{}]", "", escaped(text))
    assert bare.count("{") == bare.count("}")
    assert len(escaped(text).splitlines()) <= 1


def test_commands_are_known_to_the_default_font_encoding() -> None:
    """A document that loads no other (OT1) stops at these, `encguide.pdf` of LaTeX says."""
    others = {
        rf"\{name}{{}}" for name in ("textquotedbl", "guillemotleft", "guillemotright", "quotedblbase", "TH", "dh")
    }
    assert not others & {escaped(chr(number)) for number in range(0x20, 0x2100)}
