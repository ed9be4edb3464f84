"""What makes a row fit for an experiment: clean text, a label, a stable id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from hypermix.errors import DataError
from hypermix.hashing import digest

_SHOWN = 5


def normalize(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check and clean the rows of one split.

    The reference's clean-up: the character U+2026 becomes three dots. Nothing else is changed.

    Args:
        frame: The columns ``text`` and ``label``, strings or missing.
        where: What the rows are called in an error, such as a file's name.

    Returns:
        The columns ``id``, ``text`` and ``label``, all strings, in the same order.

    Raises:
        DataError: If there is no row, an empty text or a missing label; rows are counted from 1.
    """
    mistakes = []
    if frame.empty:
        mistakes.append("has no rows; at least one row of each label is wanted")
    empty = frame["text"].isna() | (frame["text"].str.strip() == "")
    missing = frame["label"].isna() | (frame["label"].str.strip() == "")
    for mask, what in ((empty, "an empty text"), (missing, "no label")):
        if mask.any():
            rows = [str(position + 1) for position in mask.to_numpy().nonzero()[0][:_SHOWN]]
            more = f" and {int(mask.sum()) - _SHOWN} more" if mask.sum() > _SHOWN else ""
            mistakes.append(f"{what} in row {', '.join(rows)}{more}; fill it in or take the row away")
    if mistakes:
        raise DataError("\n".join(f"{where}: {mistake}" for mistake in mistakes))
    text = frame["text"].str.replace("…", "...", regex=False)
    clean = pd.DataFrame({"text": text.astype(str), "label": frame["label"].astype(str)}).reset_index(drop=True)
    clean.insert(0, "id", row_ids(clean["text"], clean["label"]))
    return clean


def row_ids(texts: Iterable[str | None], labels: Iterable[str | None]) -> list[str]:
    """Return a stable id for each row: a digest of text and label, and its occurrence number.

    Args:
        texts: The text of each row.
        labels: The label of each row.

    Returns:
        Ids such as ``3f0c1a9be4d27765-0``; an equal row has the same id elsewhere, its copy in one file ends in ``-1``.
    """
    seen: Counter[str] = Counter()
    ids = []
    for text, label in zip(texts, labels, strict=True):
        content = digest([text, label])[:16]
        ids.append(f"{content}-{seen[content]}")
        seen[content] += 1
    return ids


def check_labels(splits: dict[str, pd.DataFrame], where: str) -> list[str]:
    """Check that the splits of a dataset make a classification task.

    Args:
        splits: Frames with the column ``label``, by the name of the split; ``train`` is among them.
        where: What the dataset is called in an error.

    Returns:
        The label names of train, sorted: the label order.

    Raises:
        DataError: If train has one label alone, or another split has a label that train lacks.
    """
    labels = sorted(set(splits["train"]["label"]))
    if len(labels) < 2:
        raise DataError(f"{where}: train has the one label {labels[0]!r}; a classifier needs at least two")
    for name, split in splits.items():
        unknown = sorted(set(split["label"]) - set(labels))
        if unknown:
            raise DataError(f"{where}: {name} has the labels {unknown}, which train lacks; train has {labels}")
    return labels
