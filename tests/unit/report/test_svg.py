from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from hypermix.report.svg import ROLES, to_svg
from tests.report_data import parse_svg


def sample() -> Figure:
    figure = Figure(figsize=(4, 3), dpi=72)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.plot([0, 1], [0, 1], color=ROLES["accent"], marker="o")
    axes.text(0, 0, "<a> & b", color=ROLES["ink"])
    return figure


def luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_same_figure_gives_same_text() -> None:
    assert to_svg(sample(), "a", "t", "d") == to_svg(sample(), "a", "t", "d")


def test_user_settings_change_nothing() -> None:
    usual = to_svg(sample(), "a", "t", "d")
    with mpl.rc_context({"svg.hashsalt": "mine", "svg.fonttype": "path"}):
        assert to_svg(sample(), "a", "t", "d") == usual


def test_no_style_and_no_script() -> None:
    text = to_svg(sample(), "a", "t", "d")
    assert "style" not in text
    assert "script" not in text
    assert "metadata" not in text


def test_only_address_is_the_namespace() -> None:
    text = to_svg(sample(), "a", "t", "d")
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"') == 1


def test_texts_are_escaped() -> None:
    text = to_svg(sample(), "a", "<script>", "a & b")
    assert "<script>" not in text
    root = parse_svg(text)
    assert root.findtext("{*}title") == "<script>"
    assert root.findtext("{*}desc") == "a & b"
    assert "<a> & b" in "".join(root.itertext())


def test_ids_of_two_figures_differ() -> None:
    ids = [{element.get("id") for element in parse_svg(to_svg(sample(), name, "t", "d")).iter()} for name in "ab"]
    assert ids[0] & ids[1] <= {None}


def test_every_reference_has_its_target() -> None:
    root = parse_svg(to_svg(sample(), "a", "t", "d"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    links = [element.attrib["href"][1:] for element in root.iter() if "href" in element.attrib]
    clips = [element.attrib["clip-path"][5:-1] for element in root.iter() if "clip-path" in element.attrib]
    assert links
    assert clips
    assert set(links + clips) <= set(ids)
    assert len(ids) == len(set(ids))


def test_colors_become_classes_too() -> None:
    root = parse_svg(to_svg(sample(), "a", "t", "d"))
    lines = [element for element in root.iter() if element.get("class") == "s-accent"]
    assert lines
    assert all(element.get("stroke") == ROLES["accent"] for element in lines)


def test_figure_is_named_for_screen_readers() -> None:
    root = parse_svg(to_svg(sample(), "a", "t", "d"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "a-title a-text"


@pytest.mark.parametrize("role", ["ink", "muted", "accent", "good", "bad"])
def test_colors_have_enough_contrast(role: str) -> None:
    assert 1.05 / (luminance(ROLES[role]) + 0.05) >= 4.5
