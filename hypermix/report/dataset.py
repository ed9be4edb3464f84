"""What the report says of the data: what the splits hold, what is wrong with them, how label words are cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hypermix.errors import ArtefactError
from hypermix.report.format import NOT_DEFINED, count, is_defined, percent, shortened

Cells = dict[str, Any]
"""The words of one part of the section, by name."""

DRAWN = "drawn anew for each data seed"
"""What stands in place of a split that no file holds."""

_SPLITS = ("train", "validation", "test")
_ALL_ROWS = "all rows"
_NOT_MEASURED = "–"
_FEW_CLASSES = 8
_MOST_PAIRS = 5
_NAME_LENGTH = 120
_SHORT_NAME_LENGTH = 28

# Control characters have no look of their own; the pictures of Unicode stand 0x2400 after them.
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_TEXT_PICTURES = {code: picture for code, picture in _PICTURES.items() if chr(code) not in "\t\n"}
_TOKEN_PICTURES = _PICTURES | {ord(" "): "␣"}

_LOSSES = {
    "empty": "{} had an empty text",
    "duplicates": "{} repeated an earlier row",
    "overlap": "{} stood in test, text for text",
}


_LENGTHS = (
    (
        "median length",
        "Characters of the middle text: half of the texts are shorter, half longer. Below it, what 90 % of the texts "
        "lie between.",
    ),
    ("longest text", "Characters of the longest text."),
)


@dataclass(frozen=True)
class Finding:
    """Something to look for in the rows of a split.

    Attributes:
        measure: Its name in the table ``profile``.
        header: What its column is called.
        noun: What it is called where there is none.
        meaning: What is counted, a sentence or two.
    """

    measure: str
    header: str
    noun: str
    meaning: str


FINDINGS = (
    Finding("empty", "empty", "empty texts", "Rows with nothing but spaces for a text."),
    Finding("duplicates", "duplicates", "duplicates", "Rows that repeat the text and the label of an earlier one."),
    Finding("two_labels", "two labels", "texts with two labels", "Texts that the split has with more than one label."),
    Finding("control", "control characters", "control characters", "Rows with characters that no reader can see."),
    Finding("breaks", "line breaks", "line breaks", "Rows whose text is more than one line."),
    Finding(
        "overlap",
        "also in train",
        "texts that stand in train too",
        "Rows whose text stands in train too, case and extra spaces aside. Test is compared with train as it was "
        "before it lost rows.",
    ),
    Finding(
        "group_overlap",
        "group in train",
        "groups that stand in train too",
        "Rows whose group has rows in train.",
    ),
    Finding(
        "near_overlap",
        "nearly in train",
        "texts that nearly stand in train",
        "Rows whose text is a train text with a few words changed. Those that stand there word for word are counted as "
        "“also in train” instead.",
    ),
)
"""What is looked for, in the order of the columns."""


@dataclass(frozen=True)
class _Profile:
    """The lines of one dataset, by what they are asked for."""

    values: Mapping[tuple[str, str], float]
    classes: Mapping[str, Mapping[str, float]]
    pairs: Sequence[tuple[float, str]]

    def rows(self, split: str) -> float:
        return self.values.get((split, "rows"), 0)

    @property
    def splits(self) -> list[str]:
        return [split for split in _SPLITS if (split, "rows") in self.values]

    @property
    def filled(self) -> list[str]:
        return [split for split in self.splits if self.rows(split)]

    @property
    def is_repeated(self) -> bool:
        """Whether train holds all rows and the splits are drawn for each data seed."""
        return self.splits == list(_SPLITS) and self.filled == ["train"]

    def heading(self, split: str) -> str:
        return _ALL_ROWS if self.is_repeated and split == "train" else split


def dataset_groups(
    profile: pd.DataFrame, words: Sequence[Mapping[str, Any]], warnings: Mapping[str, Sequence[str]]
) -> list[Cells]:
    """Word what is known of each dataset.

    Args:
        profile: The table ``profile`` of all datasets, with the column ``dataset``.
        words: The label words: ``dataset``, ``llm`` (or None) and ``rows``, each a label, its word, and the word's
            tokens or None.
        warnings: What was told of a dataset while it was prepared.

    Returns:
        A dict a dataset, in the order of their first mention: ``name``, ``shown`` (findings) and ``lines`` of the table
        of splits, ``notes`` below it, ``classes``, ``warnings``, ``pairs`` of the ``n_near`` that were found, and
        ``words``.

    Raises:
        ArtefactError: If a pair of the profile has no texts.
    """
    names = dict.fromkeys([*profile["dataset"], *warnings, *(entry["dataset"] for entry in words)])
    groups = []
    for name in names:
        lines = _read_profile(profile[profile["dataset"] == name])
        shown = found_in(lines.values, lines.filled)
        groups.append(
            {
                "name": visible(str(name)),
                "shown": shown,
                "lines": [_split_line(lines, split, shown) for split in lines.splits],
                "notes": _notes(lines, shown),
                "classes": _class_table(lines),
                "warnings": [visible(warning) for warning in warnings.get(name, ())],
                "pairs": near_pairs(str(name), lines.pairs),
                "n_near": count(lines.values.get(("test", "near_overlap"), len(lines.pairs))),
                "words": [word_table(entry) for entry in words if entry["dataset"] == name],
            }
        )
    return groups


def legend(groups: Sequence[Cells]) -> list[tuple[str, str]]:
    """Return what the columns of the tables of splits count: pairs of a header and its meaning."""
    shown = [finding for finding in FINDINGS if any(finding in group["shown"] for group in groups)]
    return [*_LENGTHS, *((finding.header, finding.meaning) for finding in shown)]


def _read_profile(frame: pd.DataFrame) -> _Profile:
    values: dict[tuple[str, str], float] = {}
    classes: dict[str, dict[str, float]] = {}
    pairs = []
    for record in frame.to_dict("records"):
        split, label, measure = record["split"], record["label"], record["measure"]
        if measure == "near_pair":
            pairs.append((record["value"], record["detail"]))
        elif isinstance(label, str):
            classes.setdefault(label, {})[split] = record["value"]
        else:
            values[split, measure] = record["value"]
    return _Profile(values, classes, pairs)


def found_in(values: Mapping[tuple[str, str], float], splits: Sequence[str]) -> list[Finding]:
    """Return what was found in at least one of some splits.

    Args:
        values: The numbers of a profile, by split and measure.
        splits: Where to look.
    """
    return [finding for finding in FINDINGS if any(values.get((split, finding.measure), 0) for split in splits)]


def _split_line(profile: _Profile, split: str, shown: Sequence[Finding]) -> Cells:
    if profile.is_repeated and split != "train":
        return {"split": split, "drawn": DRAWN}

    def number(measure: str) -> str:
        return count(profile.values.get((split, measure)))

    low, high = number("characters_q05"), number("characters_q95")
    return {
        "split": profile.heading(split),
        "drawn": None,
        "rows": number("rows"),
        "smallest": _extreme_class(profile, split, smallest=True),
        "largest": _extreme_class(profile, split, smallest=False),
        "length": number("characters_q50"),
        "middle": None if NOT_DEFINED in (low, high) else f"{low} to {high}",
        "longest": number("characters_max"),
        "found": [
            number(finding.measure) if (split, finding.measure) in profile.values else _NOT_MEASURED
            for finding in shown
        ],
    }


def _extreme_class(profile: _Profile, split: str, smallest: bool) -> Cells | None:
    sizes = {label: counts[split] for label, counts in profile.classes.items() if split in counts}
    if not sizes or not profile.rows(split):
        return None
    label = min(sizes, key=lambda name: sizes[name] if smallest else -sizes[name])
    return {"rows": count(sizes[label]), "label": shortened(visible(label), _SHORT_NAME_LENGTH)}


def _notes(profile: _Profile, shown: Sequence[Finding]) -> list[str]:
    if not profile.splits:
        return []
    measured = [
        finding for finding in FINDINGS if any((split, finding.measure) in profile.values for split in profile.filled)
    ]
    absent = [finding.noun for finding in measured if finding not in shown]
    notes = [
        loss_sentence(profile.values, "The data, before it was split," if profile.is_repeated else "Train"),
        # Overlap is for the splits, and these are drawn later.
        "Texts that stand in train and test are looked for when the splits are drawn." if profile.is_repeated else "",
        # Of the splits alone: what was left out may have had them.
        f"None among these rows: {', '.join(absent)}." if absent else "",
        thinned_sentence(profile.values),
    ]
    return [note for note in notes if note]


def loss_sentence(values: Mapping[tuple[str, str], float], subject: str) -> str:
    """Say how many rows were left out and why.

    Args:
        values: The numbers of a profile, by split and measure.
        subject: What lost them, such as ``Train``.

    Returns:
        One sentence; none if the profile does not tell.
    """
    told = {why: values[key] for why in _LOSSES if is_defined(values.get(key := ("train", f"dropped_{why}")))}
    if not told:
        return ""
    total = sum(told.values())
    if not total:
        return f"{subject} lost no row."
    whole = "it" if total == 1 else "all"
    reasons = [
        _LOSSES[why].format(whole if number == total else count(number)) for why, number in told.items() if number
    ]
    return f"{subject} lost {count(total)} {'row' if total == 1 else 'rows'}: {_listed(reasons)}."


def thinned_sentence(values: Mapping[tuple[str, str], float]) -> str:
    """Say that not all of train and test was searched for texts that stand nearly in both; empty if all was."""
    few = []
    for name, key in (("train", "near_checked"), ("test", "near_tested")):
        compared, rows = values.get(("test", key)), values.get((name, "rows"), 0.0)
        # Test rows that stand in train, text for text, are not looked for again.
        rows -= values.get(("test", "overlap"), 0.0) if name == "test" else 0.0
        if compared is not None and compared < rows:
            few.append(f"{count(compared)} of {count(rows)} {name} rows")
    if not few:
        return ""
    return f"For texts that nearly stand in train, {' and '.join(few)} were compared, so there may be more."


def _class_table(profile: _Profile) -> Cells:
    """Word the rows of each class, largest first."""
    splits = ["train"] if profile.is_repeated else profile.splits
    sizes = {
        label: [counts.get(split, 0) for split in splits]
        for label, counts in profile.classes.items()
        if any(split in counts for split in splits)
    }
    in_order = sorted(sizes, key=lambda label: [-size for size in sizes[label]])
    rows = [{"label": _name(label), "counts": [count(size) for size in sizes[label]]} for label in in_order]
    return {"splits": [profile.heading(split) for split in splits], "rows": rows, "many": len(rows) > _FEW_CLASSES}


def near_pairs(dataset: str, pairs: Iterable[tuple[float, str | None]]) -> list[Cells]:
    """Word the pairs of a test row and a train row that are nearly alike, the most alike first.

    Args:
        dataset: Where they are from.
        pairs: Similarity, and JSON with the texts ``train`` and ``test``, of each pair.

    Returns:
        ``alike`` (a share in percent), ``train`` and ``test``, of five pairs at most.

    Raises:
        ArtefactError: If a pair has no texts.
    """
    shown = sorted(pairs, key=lambda pair: -pair[0])[:_MOST_PAIRS]
    return [{"alike": percent(similarity), **_pair_texts(dataset, detail)} for similarity, detail in shown]


def _pair_texts(dataset: str, detail: str | None) -> dict[str, str]:
    try:
        texts = json.loads(detail or "")
        return {name: visible(texts[name]) for name in ("train", "test")}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtefactError(
            f"the profile of the dataset {dataset!r}: a line near_pair has {detail!r} for its texts; they stand there "
            "as JSON with the keys train and test; run prepare again"
        ) from error


def word_table(entry: Mapping[str, Any]) -> Cells:
    """Word how a language model cuts the label words.

    Args:
        entry: ``llm`` (or None) and ``rows``, each a label, its word, and the word's tokens or None.

    Returns:
        ``llm``, ``summary`` (a sentence), ``has_tokens``, and ``rows`` with ``label``, ``word``, ``count`` (of tokens,
        or None), ``first`` (None if the tokens do not spell the word) and ``others``.
    """
    rows = [_word_row(*row) for row in entry["rows"]]
    llm = None if entry["llm"] is None else visible(str(entry["llm"]))
    has_tokens = any(row["count"] is not None for row in rows)
    return {"llm": llm, "rows": rows, "has_tokens": has_tokens, "summary": _word_summary(rows, has_tokens)}


def _word_row(label: str, word: str, tokens: Sequence[str] | None) -> Cells:
    pieces = [token.translate(_TOKEN_PICTURES) for token in tokens or ()]
    return {
        "label": _name(label),
        "word": visible(word),
        "count": None if tokens is None else count(len(tokens)),
        "first": pieces[0] if pieces else None,
        "others": pieces[1:],
    }


def _word_summary(rows: Sequence[Cells], has_tokens: bool) -> str:
    if not has_tokens:
        return "No tokenizer is at hand that could tell how many tokens a word is."
    long = sum(bool(row["others"]) for row in rows)
    if long == 0:
        return "No word is more than one token."
    return f"{count(long)} of {count(len(rows))} words {'is' if long == 1 else 'are'} more than one token long."


def visible(text: str) -> str:
    """Give each control character of a text its picture, such as ``␀``; tabs and line ends stay."""
    return text.translate(_TEXT_PICTURES)


def _name(label: str) -> str:
    return shortened(visible(label), _NAME_LENGTH)


def _listed(parts: Sequence[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
