from __future__ import annotations

import csv
import io
import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hypermix.report.format import NOT_DEFINED
from hypermix.report.sheet import Cell, Column, Sheet, to_csv, to_latex, to_markdown

COLUMNS = (Column("name", ("name",), number=False), Column("mean", ("mean",)), Column("interval", ("low", "high")))
SHEET = Sheet(
    "A title",
    COLUMNS,
    (
        (
            (Cell(("a_b",)), Cell(("71.0",), best=True, mark="*"), Cell(("68.0", "74.0"))),
            (Cell(("c&d",)), Cell(("1\u202f234",)), Cell((NOT_DEFINED, NOT_DEFINED))),
        ),
    ),
    ("* it differs.",),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def one(text: str) -> Sheet:
    return Sheet(text, (Column(text, ("key",)),), (((Cell((text,), best=True),),),), (text,))


def rows(sheet: Sheet) -> list[list[str]]:
    return list(csv.reader(io.StringIO(to_csv(sheet))))


def test_csv_has_a_column_a_part() -> None:
    assert rows(SHEET) == [
        ["name", "mean", "low", "high", "mark"],
        ["a_b", "71.0", "68.0", "74.0", "*"],
        ["c&d", "1234", "", "", ""],
    ]


def test_markdown_is_one_table() -> None:
    html = MarkdownIt("commonmark").enable("table").render(to_markdown(SHEET))
    assert html.count("<table>") == 1
    assert "<strong>71.0</strong>*" in html
    assert "68.0 to 74.0" in html
    assert "<p>* it differs.</p>" in html


def test_latex_uses_booktabs() -> None:
    text = to_latex(SHEET)
    assert [rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lrr}")] == [True] * 4
    assert r"a\_b & \textbf{71.0}\textsuperscript{{*}} & 68.0 to 74.0 \\" in text
    assert r"c\&d & 1\,234 & not defined \\" in text
    assert r"{\footnotesize {*} it differs.\par}" in text


def test_a_minus_of_latex_is_no_hyphen() -> None:
    row = (Cell(("a-1",)), Cell(("-1.0",)), Cell(("-2.0", "-0.5")))
    text = to_latex(Sheet("Signs", COLUMNS, ((row,),)))
    assert r"a-1 & $-$1.0 & $-$2.0 to $-$0.5 \\" in text


def test_all_forms_have_the_same_numbers() -> None:
    for form in (to_markdown, to_latex, to_csv):
        assert {"71.0", "68.0", "74.0"} <= set(re.findall(r"\d+\.\d", form(SHEET)))


@given(TEXTS)
def test_no_text_makes_a_cell_or_markup_in_markdown(text: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render(to_markdown(one(text)))
    assert html.count("<th") - html.count("<thead") == 1
    assert html.count("<td") == 1
    assert not set(re.findall(r"<(\w+)", html)) - {"table", "thead", "tbody", "tr", "th", "td", "p", "strong"}


@given(TEXTS)
def test_no_text_makes_a_cell_or_row_in_latex(text: str) -> None:
    bare = re.sub(r"\\[\\{}&%$#_]", "", to_latex(one(text)).replace(" \\\\\n", " END\n"))
    assert bare.count(" END") == 2
    assert "&" not in bare
    assert bare.count("{") == bare.count("}")


@given(TEXTS)
def test_any_text_is_one_cell_of_csv(text: str) -> None:
    header, line = csv.reader(io.StringIO(to_csv(one(text)), newline=""))
    assert header == ["key"]
    assert len(line) <= 1


def test_no_rows_make_a_table_without_rows() -> None:
    empty = Sheet("Nothing", COLUMNS, ())
    assert rows(empty) == [["name", "mean", "low", "high"]]
    assert r"\toprule" in to_latex(empty)
    assert to_markdown(empty).count("|") == 8
