"""Which rows become train, validation and test, and what is told of it; decided without a look at a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hypermix.data.index import Index
from hypermix.data.split import carve_reference, carve_share, describe_carved
from hypermix.errors import DataError

SPLITS = ("train", "validation", "test")
_SHOWN = 5
_MISSING = {"nan", "na", "n/a", "#n/a", "null", "none"}
_RULES = {
    "duplicates": ("repeats", "repeat", "an earlier one"),
    "overlap": ("stands", "stand", "in test, text for text"),
}


@dataclass(frozen=True)
class Arrangement:
    """The rows of each split.

    Attributes:
        rows: For each split the split of the source that its rows come from, and their positions there, in order.
        labels: The label order: the labels of the rows of all splits, sorted.
        compared: The train rows that test was compared with, before any was left out for standing in it.
        dropped: Train rows that were left out, by why: ``empty``, ``duplicates``, ``overlap``.
        warnings: What a user must know, a sentence each.
    """

    rows: dict[str, tuple[str, np.ndarray]]
    labels: list[str]
    compared: np.ndarray
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def arrange(indexes: Mapping[str, Index], settings: Mapping[str, Any], dataset: str) -> Arrangement:
    """Decide which rows are trained on, validated on and tested on.

    Test is never touched. Train loses rows with an empty text, then what `duplicates` and `overlap` say; a missing test
    split is carved first, so that validation is a share of what is trained on.

    Args:
        indexes: The splits that the source has; ``train`` is among them.
        settings: What `prepare` sees of the dataset.
        dataset: What it is called in an error.

    Raises:
        DataError: If the labels make no task, a split cannot be carved, or a rule says `fail`.
    """
    warnings = [
        *_check_labels(indexes, settings, dataset),
        *_check_groups(indexes, settings),
        *_describe_texts(indexes),
    ]
    train = indexes["train"]
    kept = np.flatnonzero(~train.frame["empty"].to_numpy())
    dropped = {"empty": len(train) - len(kept), "duplicates": 0, "overlap": 0}
    repeated = train.frame.iloc[kept].duplicated(["key", "label"]).to_numpy()
    kept = _apply("duplicates", settings, kept, repeated, train, dropped, warnings)
    _check_train(train, kept, dropped)
    rows = dict.fromkeys(SPLITS, ("train", kept[:0]))
    rows |= {name: (name, np.arange(len(index))) for name, index in indexes.items()}
    if "validation" in indexes:
        rows["validation"] = ("validation", _filled(indexes["validation"]))
    rows["train"] = ("train", kept)
    compared = kept
    if settings.get("split") != "repeated":
        compared = _split_fixed(rows, indexes, settings, dropped, warnings)
    warnings.extend(_describe_lost(train, rows, dropped))
    labels = sorted(
        {label for source, positions in rows.values() for label in set(_labels(indexes[source], positions))}
    )
    return Arrangement(rows, labels, compared, dropped, warnings)


def _filled(index: Index) -> np.ndarray:
    filled: np.ndarray = np.flatnonzero(~index.frame["empty"].to_numpy())
    if not len(filled):
        raise DataError(
            f"{index.where}: all {len(index)} texts are empty; name the column with the texts with the key text"
        )
    return filled


def _split_fixed(
    rows: dict[str, tuple[str, np.ndarray]],
    indexes: Mapping[str, Index],
    settings: Mapping[str, Any],
    dropped: dict[str, int],
    warnings: list[str],
) -> np.ndarray:
    """Fill the splits that the source lacks and take what stands in test out of train; return what train was before."""
    train = indexes["train"]
    compared = rows["train"][1]
    if "test" not in indexes:
        further = "validation" not in indexes
        compared, taken = _carve("test", train, compared, settings["test_share"], None, warnings, further)
        rows["test"] = ("train", taken)
    source, positions = rows["test"]
    test_keys = indexes[source].frame["key"].to_numpy()[positions]
    shared = train.frame["key"].iloc[compared].isin(test_keys).to_numpy()
    kept = _apply("overlap", settings, compared, shared, train, dropped, warnings)
    _check_train(train, kept, dropped)
    if "validation" not in indexes:
        limit = settings["carve_rows"]
        if settings["carve"] == "reference":
            with _told_of(train):
                left, chosen = carve_reference(_labels(train, kept), limit)
            kept, taken = kept[left], kept[chosen]
        else:
            kept, taken = _carve("validation", train, kept, settings["carve_share"], limit, warnings)
        rows["validation"] = ("train", taken)
    rows["train"] = ("train", kept)
    return compared


def _carve(
    name: str,
    train: Index,
    kept: np.ndarray,
    share: float,
    limit: int | None,
    warnings: list[str],
    further: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    labels = _labels(train, kept)
    with _told_of(train):
        left, taken = carve_share(labels, share, limit, groups=_groups(train, kept), further=further)
    warnings.extend(describe_carved(name, labels, taken, share, limit))
    return kept[left], kept[taken]


@contextmanager
def _told_of(index: Index) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{index.where}: {error}") from None


def _apply(
    rule: str,
    settings: Mapping[str, Any],
    kept: np.ndarray,
    found: np.ndarray,
    train: Index,
    dropped: dict[str, int],
    warnings: list[str],
) -> np.ndarray:
    """Keep, drop or refuse the train rows that were found."""
    if not found.any():
        return kept
    action = settings[rule]
    one, several, rest = _RULES[rule]
    what = f"{_count(found)} {one if found.sum() == 1 else several} {rest}"
    if action == "fail":
        raise DataError(
            f"{train.where}: {what} ({_shown(kept[found])}); take out what is double, or set {rule}: drop or keep"
        )
    warnings.append(f"train: {what} ({rule}: {action})")
    if action == "keep":
        return kept
    dropped[rule] = int(found.sum())
    left: np.ndarray = kept[~found]
    return left


def _check_train(train: Index, kept: np.ndarray, dropped: Mapping[str, int]) -> None:
    left = sorted(set(_labels(train, kept)))
    if len(left) < 2:
        what = f"rows of the label {left[0]!r} alone" if left else "no row"
        reasons = ", ".join(f"{why}: {count}" for why, count in dropped.items() if count)
        hint = "set overlap: keep, or name another test" if dropped["overlap"] else "see which column text names"
        raise DataError(
            f"{train.where}: train keeps {what}, for {sum(dropped.values())} of {len(train)} rows were left out "
            f"({reasons}); a classifier needs two labels: {hint}"
        )


def _describe_lost(
    train: Index, rows: Mapping[str, tuple[str, np.ndarray]], dropped: Mapping[str, int]
) -> Iterator[str]:
    lost = sorted(set(train.frame["label"].cat.categories) - set(_labels(train, rows["train"][1])))
    if lost:
        reasons = " and ".join(f"{why}: {count}" for why, count in dropped.items() if count)
        yield f"train: keeps no row of {', '.join(map(repr, lost))} after rows were left out ({reasons})"


def _count(mask: np.ndarray) -> str:
    number = int(mask.sum())
    return f"{number} row{'' if number == 1 else 's'} of {len(mask)}"


def _shown(positions: np.ndarray) -> str:
    rows = ", ".join(str(row + 1) for row in positions[:_SHOWN])
    return f"row{'' if len(positions) == 1 else 's'} {rows}{' and more' if len(positions) > _SHOWN else ''}"


def _labels(index: Index, positions: np.ndarray) -> list[str]:
    names = index.frame["label"].cat.categories.tolist()
    return [names[code] for code in index.frame["label"].cat.codes.to_numpy()[positions].tolist()]


def _groups(index: Index, positions: np.ndarray) -> list[int] | None:
    codes = index.frame["group"].cat.codes.to_numpy()[positions]
    if (codes < 0).all():
        return None
    # A row without a group is one of its own.
    numbers: list[int] = np.where(codes < 0, -1 - positions, codes).tolist()
    return numbers


def _check_labels(indexes: Mapping[str, Index], settings: Mapping[str, Any], dataset: str) -> Iterator[str]:
    found = {name: index.frame["label"].value_counts(sort=False) for name, index in indexes.items()}
    counts = {name: {str(label): int(n) for label, n in split.items() if n} for name, split in found.items()}
    everywhere = sorted({label for split in counts.values() for label in split})
    folded: dict[str, list[str]] = {}
    for label in everywhere:
        folded.setdefault(label.casefold(), []).append(label)
    alike = [names for names in folded.values() if len(names) > 1]
    if alike:
        first, second = alike[0][:2]
        raise DataError(
            f"{dataset}: the labels {', '.join(map(repr, alike[0]))} differ in case alone; write them alike, or join "
            f"them with labels: {{{first}: {second}}}"
        )
    train = counts["train"]
    if len(train) < 2:
        raise DataError(
            f"{indexes['train'].where}: train has the one label {next(iter(train))!r}; a classifier needs at least two"
        )
    for name in ("validation", "test"):
        for label, number in sorted(counts.get(name, {}).items()):
            if label not in train:
                where = (
                    "1 row and in none of train; it stays"
                    if number == 1
                    else f"{number} rows and in none of train; they stay"
                )
                yield f"{name}: the label {label!r} stands in {where} and can only be got wrong"
    yield from _check_names(settings, everywhere)
    for name, split in counts.items():
        for label, number in sorted(split.items()):
            if label.casefold() in _MISSING:
                yield f"{name}: {label!r} is taken for a label, in {number} rows; is it a missing one?"


def _check_groups(indexes: Mapping[str, Index], settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("group") is None:
        return
    train = indexes["train"].frame["group"]
    if train.isna().all():
        raise DataError(
            f"{indexes['train'].where}: column {settings['group']!r} is empty in every row; name another one with the "
            "key group"
        )
    if train.isna().any():
        yield f"train: {_count(train.isna().to_numpy())} have no group; each is one of its own"
    for name in ("validation", "test"):
        if name in indexes:
            shared = indexes[name].frame["group"].isin(train.dropna()).to_numpy()
            if shared.any():
                yield f"{name}: {_count(shared)} are of a group that train has too, as the source has them"


def _check_names(settings: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    unused = sorted(set(settings.get("labels", {}).values()) - set(labels))
    if unused:
        yield f"labels: no row has {', '.join(map(repr, unused))}; the labels are {', '.join(map(repr, labels))}"


def _describe_texts(indexes: Mapping[str, Index]) -> Iterator[str]:
    for name, index in indexes.items():
        frame = index.frame
        empty, control = frame["empty"].to_numpy(), frame["control"].to_numpy()
        if empty.any():
            have = "has" if empty.sum() == 1 else "have"
            what = "all of test stays" if name == "test" else "left out"
            yield f"{name}: {_count(empty)} {have} an empty text ({_shown(np.flatnonzero(empty))}); {what}"
        if control.any():
            hold = "holds" if control.sum() == 1 else "hold"
            yield f"{name}: {_count(control)} {hold} control characters ({_shown(np.flatnonzero(control))}); kept"
        torn = count_two_labels(frame)
        if torn:
            yield f"{name}: {'1 text stands' if torn == 1 else f'{torn} texts stand'} there with two labels; all stay"


def count_two_labels(frame: pd.DataFrame) -> int:
    """Count the texts, but for the empty one, that stand in a split with more than one label."""
    pairs = frame.loc[~frame["empty"], ["key", "label"]].drop_duplicates()
    return int((pairs["key"].value_counts(sort=False) > 1).sum())
