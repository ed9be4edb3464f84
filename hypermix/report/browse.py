"""The synthetic rows of a report, as JSON that is inert inside a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hypermix.errors import ArtefactError
from hypermix.report.format import is_defined

COLUMNS = (
    "dataset",
    "subsample",
    "data_seed",
    "augmenter",
    "trial",
    "text",
    "label",
    "soft_label",
    "label_source",
    "label_mass",
    "source_ids",
    "llm",
    "kept",
    "reason",
)
"""What a reader is shown of a synthetic row; the frame may hold more."""

_SHARED = (
    "dataset",
    "subsample",
    "data_seed",
    "augmenter",
    "trial",
    "label",
    "label_source",
    "llm",
    "reason",
)
_TEXT_LENGTHS = (4000, 2000, 1000, 500, 250)
_TEXT_BUDGET = 1_000_000
_SHOWN_SHARES = 5
_SMALLEST_SHARE = 0.01

_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def browsable_rows(synthetic: pd.DataFrame, labels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Turn synthetic rows into values that have a JSON form.

    Args:
        synthetic: The keys and the columns of the table ``synthetic``, see `COLUMNS`.
        labels: For each dataset its labels in label order.

    Returns:
        A dict a row. ``soft_label`` is a list of [label, probability], likeliest first, or None; seeds are texts, for
        they may be larger than what JavaScript counts exactly; ``sources`` is the count of source rows.

    Raises:
        ArtefactError: If a column is missing, a dataset has no labels, or a soft label has another length.
    """
    if synthetic.empty:
        return []
    missing = [column for column in COLUMNS if column not in synthetic.columns]
    if missing:
        raise ArtefactError(f"the synthetic rows of the report lack the columns {missing}")
    return [_row(record, labels) for record in synthetic[list(COLUMNS)].to_dict("records")]


def packed_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Turn browsable rows into columns, so that a page holds thousands of them in little space.

    Texts are cut where all together would be too long for a page. Of a soft label the five largest probabilities and
    those of at least 0.01 are kept.

    Args:
        rows: What `browsable_rows` returned.

    Returns:
        ``n``; ``shared``, for each column that repeats its values the distinct ``values`` and where each row's stands
        (``at``; -1 for None); ``names``, the labels of soft labels; a list each for ``text``, ``length`` (in
        characters, where the text is cut; else 0), ``label_mass``, ``sources``, ``kept`` (1 or 0), ``soft`` (label and
        probability in turn, likeliest first, or None) and ``more`` (how many probabilities are left out).
    """
    length = _text_length([len(row["text"] or "") for row in rows])
    names = list(dict.fromkeys(name for row in rows for name, _ in row["soft_label"] or ()))
    at = {name: place for place, name in enumerate(names)}
    shares = [_large_shares(row["soft_label"]) for row in rows]
    return {
        "n": len(rows),
        "shared": {name: _shared([row[name] for row in rows]) for name in _SHARED},
        "names": names,
        "text": [None if row["text"] is None else row["text"][:length] for row in rows],
        "length": [len(row["text"]) if len(row["text"] or "") > length else 0 for row in rows],
        "label_mass": [row["label_mass"] for row in rows],
        "sources": [row["sources"] for row in rows],
        "kept": [int(row["kept"]) for row in rows],
        "soft": [
            None if found is None else [part for name, share in found for part in (at[name], share)] for found in shares
        ],
        "more": [len(row["soft_label"] or ()) - len(found or ()) for row, found in zip(rows, shares, strict=True)],
    }


def _text_length(lengths: Sequence[int]) -> int:
    """Return the largest length to cut at with which all texts fit."""
    fitting = (most for most in _TEXT_LENGTHS if sum(min(length, most) for length in lengths) <= _TEXT_BUDGET)
    return next(fitting, _TEXT_LENGTHS[-1])


def _shared(values: Sequence[str | None]) -> dict[str, Any]:
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    at = {value: place for place, value in enumerate(distinct)}
    return {"values": distinct, "at": [-1 if value is None else at[value] for value in values]}


def _large_shares(pairs: Sequence[Sequence[Any]] | None) -> list[Sequence[Any]] | None:
    if pairs is None:
        return None
    return [pair for place, pair in enumerate(pairs) if place < _SHOWN_SHARES or pair[1] >= _SMALLEST_SHARE]


def inert_json(value: object) -> str:
    r"""Write JSON that no HTML parser can take for markup, and that any JavaScript engine reads.

    Args:
        value: What has a JSON form.

    Returns:
        JSON in which ``<``, ``>``, ``&`` and the line separators U+2028 and U+2029 are written as ``\uXXXX``; lone
        surrogates become question marks, since no file can hold them.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    return escaped.encode("utf-8", "replace").decode("utf-8")


def _row(record: Mapping[Any, Any], labels: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    sources = record["source_ids"]
    return {
        "dataset": str(record["dataset"]),
        "subsample": str(record["subsample"]),
        "data_seed": str(record["data_seed"]),
        "augmenter": str(record["augmenter"]),
        "trial": str(record["trial"]),
        "text": _text(record["text"]),
        "label": _text(record["label"]),
        "soft_label": _soft_label(record, labels),
        "label_source": _text(record["label_source"]),
        "label_mass": round(float(record["label_mass"]), 4) if is_defined(record["label_mass"]) else None,
        "sources": len(sources) if _is_list(sources) else 0,
        "llm": _text(record["llm"]),
        "kept": bool(record["kept"]),
        "reason": _text(record["reason"]),
    }


def _soft_label(record: Mapping[Any, Any], labels: Mapping[str, Sequence[str]]) -> list[list[Any]] | None:
    shares = record["soft_label"]
    if not _is_list(shares):
        return None
    dataset = str(record["dataset"])
    if dataset not in labels:
        raise ArtefactError(f"the report has synthetic rows of the dataset {dataset!r} and no labels for it")
    names = labels[dataset]
    if len(names) != len(shares):
        raise ArtefactError(
            f"a synthetic row of the dataset {dataset!r} has {len(shares)} probabilities, its label order has "
            f"{len(names)} labels: {list(names)}; run augment again"
        )
    pairs = [
        [name, round(float(share), 4) if is_defined(share) else 0.0] for name, share in zip(names, shares, strict=True)
    ]
    return sorted(pairs, key=lambda pair: -pair[1])


def _is_list(value: object) -> bool:
    # Parquet lists come back as arrays; a null cell is None or NaN.
    return hasattr(value, "__len__") and not isinstance(value, str)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
