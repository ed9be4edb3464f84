from __future__ import annotations

import re

import pandas as pd
import pytest

from hypermix.augment.quality.catalog import NAMES
from hypermix.report import quality
from hypermix.report.page import render
from tests.report_data import HOSTILE, make_quality, make_report


def cells(group: dict[str, object], name: str) -> list[object]:
    rows = group["rows"]
    assert isinstance(rows, list)
    return next(row["cells"] for row in rows if row["name"] == name)  # type: ignore[no-any-return]


def section(**changes: object) -> str:
    html = render(make_report(**changes))
    return html[html.index('<section id="quality"') : html.index('<section id="costs"')]


def test_every_measure_has_its_words() -> None:
    told = {*quality._MEASURES, *(found.beside for found in quality._MEASURES.values() if found.beside)}
    assert told == set(NAMES)


def test_a_group_a_setting() -> None:
    found = quality.quality_groups(make_quality(settings=[("rt", "16s"), ("rt", "32s"), ("b", "16s")]), [])
    assert [group["title"] for group in found] == ["rt · 16s", "rt · 32s", "b · 16s"]
    assert found[0]["augmenters"] == ["duplicate", "gpt3mix", "eda"]


def test_numbers_have_interval_and_twin() -> None:
    columns = ["dataset", "subsample", "augmenter", "measure", "n_seeds", "mean", "ci_low", "ci_high"]
    rows = [
        ("rt", "16s", "mix", "self_bleu", 3, 0.2, 0.15, 0.25),
        ("rt", "16s", "mix", "real_self_bleu", 3, 0.1, 0.05, 0.15),
        ("rt", "16s", "mix", "near_copy_rate", 3, 0.125, 0.1, 0.15),
        ("rt", "16s", "mix", "judge_agreement", 1, 0.75, float("nan"), float("nan")),
        ("rt", "16s", "mix", "judge_accuracy", 1, 0.8, float("nan"), float("nan")),
    ]
    (group,) = quality.quality_groups(pd.DataFrame(rows, columns=columns), [])
    assert cells(group, "self-BLEU") == [{"mean": "0.200", "interval": "0.150 to 0.250", "beside": "real rows 0.100"}]
    assert cells(group, "near copies, %") == [{"mean": "12.5", "interval": "10.0 to 15.0", "beside": None}]
    assert cells(group, "judge agrees, %") == [{"mean": "75.0", "interval": None, "beside": "judge on test 80.0"}]
    assert len(group["rows"]) == 3


def test_controls_of_real_texts_have_labels_alone() -> None:
    (group,) = quality.quality_groups(make_quality(), ["duplicate"])
    assert group["augmenters"] == ["gpt3mix", "eda", "duplicate"]
    here = {row["name"] for row in group["rows"] if row["cells"][2]}
    assert here == {"shift of labels, %", "judge agrees, %"}
    assert all(row["cells"][0] and row["cells"][1] for row in group["rows"])


def test_what_none_has_is_told_in_one_line() -> None:
    (group,) = quality.quality_groups(make_quality(), ["duplicate"])
    assert group["absent"] == ["entropy of soft labels", "calibration error of soft labels"]
    html = section()
    assert html.count("too few or it has no meaning for them: entropy of soft labels, calibration") == 1
    assert "<dt>entropy of soft labels</dt>" not in html  # nor is explained


def test_experiment_of_controls_alone_shows_labels() -> None:
    (group,) = quality.quality_groups(make_quality(["duplicate"]), ["duplicate"])
    assert [row["name"] for row in group["rows"]] == ["shift of labels, %", "judge agrees, %"]


def test_section_stands_between_rows_and_costs() -> None:
    html = render(make_report())
    assert html.index('id="rows"') < html.index('id="quality"') < html.index('id="costs"')
    assert '<a href="#quality">' in html


def test_no_rows_are_told() -> None:
    html = section(quality=make_quality([]))
    assert "No synthetic rows were measured." in html
    assert "<table" not in html


def test_one_seed_shows_no_nan() -> None:
    html = section(quality=make_quality(n_seeds=1))
    assert not re.search(r"\bnan\b", html, re.IGNORECASE)
    assert not re.search(r"\d to -?\d", html[html.index("<table") :])


@pytest.mark.parametrize("place", ["augmenter", "dataset"])
def test_hostile_names_are_escaped(place: str) -> None:
    html = section(quality=make_quality().assign(**{place: HOSTILE}))
    assert "<img" not in html
    assert "&lt;/script&gt;" in html
