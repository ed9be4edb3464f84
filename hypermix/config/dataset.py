"""The settings of a dataset: where its rows come from, how they are split, how a prompt words them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from hypermix.config.setting import Settings, setting

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n()]+$")]
Action = Literal["keep", "drop", "fail"]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Column = Annotated[str, StringConstraints(min_length=1)]


def _check_id(path: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", path, re.ASCII):
        raise ValueError("the id of a dataset with its owner, such as SetFit/sst2")
    return path


Columns = Annotated[
    list[_Column],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "minItems": 1, "type": "array"}]}),
]
"""One column, or several whose texts are joined with a space."""


class Dataset(Settings):
    """What every dataset has."""

    carve: Literal["share", "reference"] = setting(
        "share",
        "prepare",
        "How a dataset without a validation split gets one from train: `share` takes `carve_share` of it, at most "
        "`carve_rows`; `reference` takes `carve_rows` by the reference's exact procedure (seed 42).",
    )
    carve_share: float = setting(
        0.2, "prepare", "Share of train that a missing validation split takes.", unit="share of rows", gt=0.0, lt=1.0
    )
    carve_rows: int = setting(
        4000, "prepare", "Rows that a missing validation split takes from train, 4000 in the reference.", ge=2
    )
    overlap: Action = setting(
        "drop",
        "prepare",
        "Train rows whose text stands in test, whatever the case and the spaces: `keep` trains on them, as the "
        "reference does; `drop` leaves them out before any row is drawn; `fail` ends the run.",
    )
    duplicates: Action = setting(
        "keep",
        "prepare",
        "Train rows that repeat an earlier one, text and label: `keep`, `drop` or `fail`. Test is never touched.",
    )
    text_type: Words = setting("text", "augment", "What a text is, in the words of a prompt.")
    label_type: Words = setting("label", "augment", "What a label is, in the words of a prompt.")
    label_words: dict[str, Words] = setting(
        {}, "augment", "The word (verbalizer) for each label in a prompt. A label that is not named stands for itself."
    )


class PackagedDataset(Dataset):
    """A dataset that a package on the Python package index carries."""

    source: Literal["packaged"] = setting(..., "prepare", "The kind of source.")
    name: Literal["rt-snippets"] = setting(
        "rt-snippets",
        "prepare",
        "Which one. `rt-snippets`: 10,070 movie-review sentences with ratings by 20 people each (Hutto and Gilbert, "
        "ICWSM 2014); positive from +0.5, negative from -0.5.",
    )
    text_type: Words = setting("movie review", "augment", "What a text is, in the words of a prompt.")
    label_type: Words = setting("sentiment", "augment", "What a label is, in the words of a prompt.")


class TabularDataset(Dataset):
    """What a dataset has whose columns the config names."""

    text: Columns = setting(
        ["text"],
        "prepare",
        "The column with the texts, or several to join with a space. Where a file of yours has no column of the "
        "default's name, it is guessed if it is obvious, and told.",
    )
    label: str = setting("label", "prepare", "The column with the labels; guessed likewise.", min_length=1)
    labels: dict[str, _Column] = setting(
        {},
        "prepare",
        "Other names for labels, such as `{0: negative}` in quotes. Labels with one name become one. A label that is "
        "not named keeps its own.",
    )
    group: str | None = setting(
        None,
        "prepare",
        "A column, such as the author: rows with the same value never stand on both sides of a split made here.",
        min_length=1,
    )
    test_share: float = setting(
        0.2, "prepare", "Share of train that a missing test split takes.", unit="share of rows", gt=0.0, lt=1.0
    )
    split: Literal["fixed", "repeated"] = setting(
        "fixed",
        "prepare",
        "`repeated` draws train, validation and test anew from all rows of `train` for each data seed, for small data. "
        "The test sets of two data seeds then overlap.",
    )

    @model_validator(mode="after")
    def _check_repeated(self) -> Self:
        given = [name for name in ("validation", "test") if getattr(self, name, None) is not None]
        if self.split == "repeated" and given:
            raise ValueError(f"split: repeated with train alone; {' and '.join(given)} must be null")
        if self.split == "repeated" and self.carve == "reference":
            raise ValueError("carve: share beside split: repeated; the reference's carving is one fixed split")
        if self.group is not None and self.carve == "reference":
            raise ValueError("carve: share beside group; the reference's carving knows no groups")
        used = [*self.text, self.label]
        double = next((name for name in used if used.count(name) > 1), None)
        if double is not None:
            raise ValueError(f"another column for each of text and label; {double!r} stands there twice")
        return self


class FileDataset(TabularDataset):
    """Your own files: CSV, TSV, JSONL or Parquet, plain, gzip or zstd; local or at a URL."""

    source: Literal["file"] = setting(..., "prepare", "The kind of source.")
    train: str = setting(..., "prepare", "The file with the rows to train on: a path or a URL.", min_length=1)
    validation: str | None = setting(None, "prepare", "The file with the validation rows; null carves them from train.")
    test: str | None = setting(
        None, "prepare", "The file with the test rows; null takes a stratified `test_share` of train, seed 42."
    )
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = setting(
        None, "prepare", "The format of the files; null tells it by their suffix, such as `.csv` or `.jsonl.gz`."
    )
    separator: Literal[",", ";", "\t", "|"] | None = setting(
        None, "prepare", "What stands between the fields of CSV and TSV; null: a comma in CSV, a tab in TSV."
    )
    encoding: str = setting("utf-8", "prepare", "The encoding of CSV, TSV and JSONL, by Python's name for it.")
    quoting: Literal["csv", "none"] = setting(
        "csv",
        "prepare",
        "`csv`: fields in double quotes may hold separators and line breaks; `none`: a quote is a character.",
    )


class _HubSettings(TabularDataset):
    path: Annotated[str, AfterValidator(_check_id)] = setting(..., "prepare", "Its id, such as `SetFit/sst2`.")
    config: str | None = setting(None, "prepare", "Its configuration, where it has several.", min_length=1)
    revision: str | None = setting(
        None,
        "prepare",
        "A commit, branch or tag; null takes the newest commit. The commit that was used stands in the provenance; "
        "`hypermix datasets pin` writes it here.",
        min_length=1,
    )
    train: str = setting("train", "prepare", "The split with the rows to train on.", min_length=1)
    validation: str | None = setting(
        None, "prepare", "The split with the validation rows; null carves them from train."
    )
    test: str | None = setting(
        "test", "prepare", "The split with the test rows; null takes a stratified `test_share` of train, seed 42."
    )


class HubDataset(_HubSettings):
    """A dataset of the Hugging Face hub; one that needs a loading script cannot be used."""

    source: Literal["hub"] = setting(..., "prepare", "The kind of source.")


class RegistryDataset(_HubSettings):
    """A dataset of `config/datasets.yaml`, which gives all that the config does not."""

    source: Literal["registry"] = setting(..., "prepare", "The kind of source.")
    name: str | None = setting(
        None, "prepare", "Its name there; null takes the name that the dataset has here.", min_length=1
    )


AnyDataset = Annotated[PackagedDataset | FileDataset | HubDataset | RegistryDataset, Field(discriminator="source")]
