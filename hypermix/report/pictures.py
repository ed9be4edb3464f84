"""The figures of an experiment: two layouts each for the page, and files that stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from hypermix.report.breakdown import reliability_figure
from hypermix.report.curves import curve_figure
from hypermix.report.data import ReportData
from hypermix.report.drawing import Drawing, blank
from hypermix.report.figure import METRIC, NARROW_PX, SETTING, WIDE_PX, accuracy_figure, difference_figure
from hypermix.report.gain import gain_figure
from hypermix.report.section import verdict_outcomes
from hypermix.report.sizes import size_figure


def _accuracy(data: ReportData, width_px: float) -> Drawing | None:
    if not (data.summary["metric"] == METRIC).any():
        return None
    chance = {name: 1 / len(names) for name, names in data.labels.items() if names}
    return accuracy_figure(data.runs, data.summary, baselines=data.baselines, chance=chance, width_px=width_px)


def _differences(data: ReportData, width_px: float) -> Drawing | None:
    if not (data.comparisons["metric"] == METRIC).any():
        return None
    return difference_figure(data.comparisons, outcomes=verdict_outcomes(data.verdict), width_px=width_px)


def _sizes(data: ReportData, width_px: float) -> Drawing | None:
    return size_figure(data.runs, data.summary, baselines=data.baselines, width_px=width_px)


def _curves(data: ReportData, width_px: float) -> Drawing | None:
    return curve_figure(data.curves, baselines=data.baselines, width_px=width_px)


def _costs(data: ReportData, width_px: float) -> Drawing | None:
    return gain_figure(data.comparisons, data.seed_costs, baselines=data.baselines, width_px=width_px)


_DRAWERS: Final[dict[str, tuple[Callable[[ReportData, float], Drawing | None], str, str]]] = {
    "accuracy": (_accuracy, "Accuracy by method", "The experiment has no runs."),
    "differences": (
        _differences,
        "Paired differences in accuracy",
        "There is nothing to compare: the experiment has no baseline, or nothing beside it.",
    ),
    "sizes": (_sizes, "Accuracy against subsample size", "No dataset has runs of two subsample sizes."),
    "curves": (_curves, "Learning curves", "No training was validated at two different steps."),
    "costs": (_costs, "Cost against gain", "No language model was asked, or what it cost or gained is not known."),
}

FIGURES: Final = tuple(_DRAWERS)
"""The figures by name, in the order of the page."""

_LAYOUTS: Final = (("wide", WIDE_PX), ("narrow", NARROW_PX))
_ONLY: Final = (("only", WIDE_PX),)

MOST_SETTINGS: Final = 12
"""With more settings a figure has one layout, which a phone scrolls, and calibration has none: a page opens quickly."""


class Gallery:
    """The figures of one experiment, each drawn once: the page and the files have the wide one in common."""

    def __init__(self, data: ReportData) -> None:
        """Take the experiment."""
        self.data = data
        self._drawn: dict[tuple[str, float], Drawing | None] = {}

    def draw(self, name: str, width_px: float = WIDE_PX) -> Drawing | None:
        """Draw a figure; None if there is nothing to show.

        Args:
            name: One of `FIGURES`.
            width_px: Width in pixels; below 560 the layout is the one for phones.

        Raises:
            ArtefactError: If the verdict has an unknown outcome.
        """
        key = name, width_px
        if key not in self._drawn:
            self._drawn[key] = _DRAWERS[name][0](self.data, width_px)
        return self._drawn[key]


def page_figures(gallery: Gallery, name: str) -> list[tuple[str, Markup]]:
    """Return the layouts of a figure with their SVG, ``wide`` and ``narrow``; none if there is nothing to show.

    Raises:
        ArtefactError: If the verdict has an unknown outcome.
    """
    layouts = _ONLY if has_many_settings(gallery.data) else _LAYOUTS
    return _markup(name, [(layout, gallery.draw(name, width_px)) for layout, width_px in layouts])


def has_many_settings(data: ReportData) -> bool:
    """Tell whether there are more than `MOST_SETTINGS` pairs of a dataset and a size with a classifier."""
    return len(data.runs[SETTING].drop_duplicates()) > MOST_SETTINGS


def _markup(name: str, drawn: Sequence[tuple[str, Drawing | None]]) -> list[tuple[str, Markup]]:
    return [
        (layout, Markup(drawing.svg(f"{name}-{layout}")))  # noqa: S704 - figures escape their texts
        for layout, drawing in drawn
        if drawing is not None
    ]


def reliability(data: ReportData) -> list[tuple[str, Markup]]:
    """Return the layouts of the figure of calibration, as `page_figures` does; it has no files."""
    if has_many_settings(data):
        return []
    drawn = [
        (layout, reliability_figure(data.calibration, baselines=data.baselines, width_px=width_px))
        for layout, width_px in _LAYOUTS
    ]
    return _markup("reliability", drawn)


def figure_file(gallery: Gallery, name: str) -> Drawing:
    """Draw a figure for a file; where there is nothing to show it says why.

    Raises:
        ArtefactError: If the verdict has an unknown outcome.
    """
    _, title, reason = _DRAWERS[name]
    return gallery.draw(name) or blank(title, reason, WIDE_PX)
