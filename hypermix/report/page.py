"""The report: one HTML file that asks no host for anything.

A Content-Security-Policy allows exactly the style sheet and the script that stand in the file, by their hashes, so a
text that a language model wrote cannot run even if an escape were missing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from hypermix.report import browse, cost, dataset, pictures, rejected, section
from hypermix.report.breakdown import class_groups
from hypermix.report.data import ReportData
from hypermix.report.format import count, percent
from hypermix.report.opinion import opinion_groups
from hypermix.report.outcome import OUTCOMES, find_outcome
from hypermix.report.quality import quality_groups, quality_legend
from hypermix.report.ranks import rank_groups
from hypermix.report.spread import spread_groups

_STATIC_ROWS = 20


def render(data: ReportData, gallery: pictures.Gallery | None = None) -> str:
    """Write the report.

    Args:
        data: What it shows.
        gallery: Its figures, if files have them too; drawn here if None.

    Returns:
        HTML; equal data give equal text.

    Raises:
        ArtefactError: If the tables, the labels and the verdict do not fit each other, or the profile lacks a text.
    """
    loader = PackageLoader("hypermix.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_source(loader, environment, name) for name in ("report.css", "report.js"))
    page = environment.get_template("report.html.j2").render(
        **_verdict_words(data),
        **_number_words(data, gallery or pictures.Gallery(data)),
        **_further_words(data),
        **_row_words(data),
        **_data_words(data),
        **_quality_words(data),
        data=data,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        policy=_policy(style, script),
    )
    # Lone surrogates have no UTF-8 form, so no file could hold them.
    return page.encode("utf-8", "replace").decode("utf-8")


def _source(loader: PackageLoader, environment: Environment, name: str) -> str:
    return loader.get_source(environment, name)[0]


def _policy(style: str, script: str) -> str:
    hashes = {name: f"'sha256-{_sha256(text)}'" for name, text in (("style", style), ("script", script))}
    return (
        f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _verdict_words(data: ReportData) -> dict[str, Any]:
    entries = section.verdict_entries(data.verdict)
    used = {entry["outcome"].key for entry in entries}
    return {
        "headline": data.verdict["headline"],
        "outcome": find_outcome(data.verdict["outcome"]),
        "verdicts": entries,
        "legend": [outcome for outcome in OUTCOMES.values() if outcome.key in used],
        "level": f"{100 * data.verdict['level']:g} %",
        "alpha": f"{data.verdict['alpha']:g}",
    }


def _number_words(data: ReportData, gallery: pictures.Gallery) -> dict[str, Any]:
    outcomes = section.verdict_outcomes(data.verdict)
    return {
        "sizes": section.experiment_size(data.runs),
        "figures": {name: pictures.page_figures(gallery, name) for name in pictures.FIGURES},
        "accuracy_groups": section.accuracy_groups(data.runs, data.summary),
        "measure_names": section.measure_names(),
        "measure_groups": section.measure_groups(data.summary),
        "difference_groups": section.difference_groups(data.comparisons, outcomes),
        "cost_rows": cost.cost_rows(data.costs, data.spending),
        "total_cost": cost.total_cost(data.costs),
        "cost_notes": cost.cost_notes(data.costs, data.spending),
        "without_llm": cost.without_llm(data.runs, data.costs),
    }


def _further_words(data: ReportData) -> dict[str, Any]:
    return {
        "class_groups": class_groups(data.classes),
        "reliability": pictures.reliability(data),
        "many_settings": pictures.has_many_settings(data),
        "most_settings": pictures.MOST_SETTINGS,
        "spread_groups": spread_groups(data.variance),
        "opinion_groups": opinion_groups(data.comparisons, data.opinions),
        "rank_groups": rank_groups(data.ranks),
    }


def _data_words(data: ReportData) -> dict[str, Any]:
    groups = dataset.dataset_groups(data.profile, data.words, data.warnings)
    return {"datasets": groups, "data_legend": dataset.legend(groups)}


def _quality_words(data: ReportData) -> dict[str, Any]:
    groups = quality_groups(data.quality, data.repeaters)
    return {"quality_groups": groups, "quality_legend": quality_legend(groups)}


def _row_words(data: ReportData) -> dict[str, Any]:
    rows = browse.browsable_rows(data.synthetic, data.labels)
    return {
        "rows_json": Markup(browse.inert_json(browse.packed_rows(rows))),  # noqa: S704 - its markup characters are escaped
        "static_rows": [_static_row(row) for row in rows[:_STATIC_ROWS]],
        "rejected_rows": rejected.rejected_rows(data.rejected),
        "n_rows": count(len(rows)),
        "n_total": count(data.n_synthetic_total),
        "is_sample": len(rows) < data.n_synthetic_total,
        "row_datasets": list(dict.fromkeys(row["dataset"] for row in rows)),
        "row_sizes": list(dict.fromkeys(row["subsample"] for row in rows)),
        "row_augmenters": list(dict.fromkeys(row["augmenter"] for row in rows)),
        "row_labels": sorted({row["label"] for row in rows if row["label"] is not None}),
        "row_reasons": sorted({row["reason"] for row in rows if row["reason"] is not None}),
    }


def _static_row(row: Mapping[str, Any]) -> dict[str, Any]:
    pairs = row["soft_label"] or []
    return {
        **row,
        "shares": ", ".join(f"{name} {percent(share)} %" for name, share in pairs),
        "mass": percent(row["label_mass"]),
    }
