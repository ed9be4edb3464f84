from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hypermix.report.markdown import escaped, table

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/y.png)",
    "[click](javascript:alert(1))",
    "a | b | c",
    "line one\n# title\n\n---\nlicense: mit",
    "```\ncode",
    "`code` *very* **bold** __under__ ~~gone~~ ~x~",
    "<!-- hidden",
    "&lt;b&gt; &amp; &copy;",
    "http://evil.example and www.evil.example",
    "\\",
    "trailing\\",
    "\\| \\` \\[",
    "$$x$$ $y$",
    "{{ config }} {0.__class__} %s",
    "\u202egnp.exe \u200b\x1b[31m\x00",
    "[^1] [ ] [x] [ref]: http://evil.example",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "===",
    "---",
    "> quoted",
    "# title",
]


def inside(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in [token, *inside(token.children or [])]]


def shown(text: str) -> str:
    """Return what a reader sees of a line; anything but text in it fails."""
    tokens = inside(PARSER.parse(text))
    kinds = {token.type for token in tokens}
    assert kinds <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}, kinds
    return "".join(token.content for token in tokens if token.type in {"text", "text_special"})


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_text_holds_is_shown_and_does_nothing(text: str) -> None:
    line = escaped(text)
    assert "\n" not in line
    assert "<" not in line

    visible = "".join(" " if not sign.isprintable() else sign for sign in text)
    assert shown(line) == " ".join(visible.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell(text: str) -> None:
    lines = list(table(["label", "rows"], [(escaped(text), 7), (escaped("next"), 8)]))
    assert len(lines) == 4
    tokens = inside(PARSER.parse("\n".join(lines)))

    assert [token.type for token in tokens].count("td_open") == 4
    assert not {"html_inline", "html_block", "link_open", "image", "code_inline", "em_open"} & {
        token.type for token in tokens
    }


@given(st.text(max_size=60))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    line = escaped(text)

    assert "\n" not in line
    assert html.unescape(shown(line)) == html.unescape(" ".join("".join(map(_visible, text)).split()))


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else " "


def test_a_long_text_is_cut_in_its_middle() -> None:
    assert escaped("a" * 50 + "b" * 50, 21) == "a" * 10 + "…" + "b" * 10
    assert len(escaped("word " * 1000)) <= 200


@pytest.mark.parametrize("number", ["0.005", "7", "1e-05", "v1.2.3", "5.23.0"])
def test_numbers_stay_readable(number: str) -> None:
    assert escaped(number) == number


def test_a_bare_address_is_no_link() -> None:
    line = escaped("see http://evil.example, WWW.evil.example")

    assert "http://" not in line
    assert "WWW." not in line


def test_table_is_read_as_one() -> None:
    tokens = PARSER.parse("\n".join(table(["a", "b"], [("x", 1), ("y", 2)])))

    assert [token.content for token in tokens if token.type == "inline"] == ["a", "b", "x", "1", "y", "2"]
