"""predict: the labels that an exported model gives the rows of a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hypermix.data.guess import TEXT_NAMES, column_names, guess_text
from hypermix.data.raw import RawSplit
from hypermix.data.rows import clean_texts
from hypermix.data.whole import READING, json_decoded, open_whole, texts_decoded, writing
from hypermix.errors import ArtefactError, DataError, accepted
from hypermix.report.console import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from hypermix.classify.network import Network

PREDICTED, PROBABILITY = "predicted", "probability"
"""The columns that are added."""

COLUMNS_KEY = "hypermix_columns"
"""Where the config of an exported model names the columns that it was trained on."""

_ROWS = 1024
_DIGITS = 6


@dataclass
class Predicted:
    """What was predicted.

    Attributes:
        columns: The columns that hold the texts.
        why: How they are known: ``given``, ``model`` (it was trained on columns of these names) or ``guessed``.
        labels: How many rows have each label.
        empty: Rows without a text.
        cut: Rows that were longer than the model takes.
    """

    columns: Sequence[str]
    why: str
    labels: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    cut: int = 0

    @property
    def rows(self) -> int:
        """All rows."""
        return self.labels.total()

    def lines(self, output: Path) -> list[str]:
        """Tell what was done, for a terminal.

        Args:
            output: Where the rows went.
        """
        counted = ", ".join(f"{label}: {count}" for label, count in self.labels.most_common())
        columns = ", ".join(map(repr, self.columns))
        told = [f"{output}: {_rows(self.rows)}; {PREDICTED}: {counted}"]
        if self.why == "guessed":
            told.append(f"The texts are taken from the column {columns} (guessed; name another with --text).")
        if self.empty:
            told.append(f"{_rows(self.empty)} without a text; what is predicted there means nothing.")
        if self.cut:
            told.append(f"{_rows(self.cut)} longer than the model reads, cut for it.")
        return list(map(plain, told))


def predict(
    model: Path,
    source: Path,
    output: Path,
    *,
    text: Sequence[str] = (),
    every: bool = False,
    reading: Mapping[str, Any] = READING,
    tell: Callable[[int], None] | None = None,
) -> Predicted:
    """Write the rows of a file with the label that a model gives each, and its probability.

    Rows are read and written in batches. The texts are cleaned as those that the model was trained on.

    Args:
        model: A folder that `snakemake export` wrote.
        source: The file with the rows.
        output: Where they go; its suffix tells the format.
        text: The columns with the texts; none for those that the model was trained on, or the obvious one.
        every: Whether the probability of each label is written too.
        reading: How the file is read, see `hypermix.data.whole.READING`.
        tell: Called after each batch with the number of rows so far.

    Raises:
        ArtefactError: If there is no model in the folder.
        DataError: If the file cannot be used as it is, or both files are one.
        TrainError: If the model cannot be loaded.
    """
    recorded = _recorded_columns(model)
    if output.exists() and source.exists() and output.samefile(source):
        raise DataError(f"{output}: is the file with the rows; name another one for the predictions")
    split = open_whole(source, reading)
    names = column_names(split)
    if not names:
        raise DataError(f"{source}: has no rows; at least one is wanted")
    columns, why = _choose_columns(split, names, text, recorded)
    done = Predicted(columns, why)
    with writing(output, reading) as write:
        classifier = _Classifier(model)
        added = [PREDICTED, PROBABILITY, *(f"{PROBABILITY}_{label}" for label in (classifier.labels if every else ()))]
        _check_free(names, added, source)
        for batch, texts in _read(split, columns):
            shares = classifier(texts, done)
            write(_with_more(batch, shares, classifier.labels, added))
            if tell:
                tell(done.rows)
    return done


def _rows(number: int) -> str:
    return f"{number} row{'s' * (number != 1)}"


def _recorded_columns(model: Path) -> list[str]:
    """Return the columns of the texts that a model was trained on, as far as its config tells."""
    wanted = "name the folder that snakemake export wrote, such as results/export"
    try:
        told = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise ArtefactError(f"{model}: holds no model (no config.json can be read there); {wanted}") from None
    except (ValueError, RecursionError):
        raise ArtefactError(f"{model}: its config.json is no JSON; {wanted}") from None
    found = told.get(COLUMNS_KEY) if isinstance(told, dict) else None
    columns = found.get("text") if isinstance(found, dict) else None
    usable = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    return list(columns) if usable and columns else []


def _choose_columns(
    split: RawSplit, names: Sequence[str], given: Sequence[str], recorded: Sequence[str]
) -> tuple[list[str], str]:
    """Return the columns with the texts, and how they are known."""
    lacking = next((name for name in given if name not in names), None)
    if lacking is not None:
        raise DataError(f"{split.where}: no column {lacking!r} ({accepted(lacking, names)}); mend --text")
    if given:
        return list(given), "given"
    if recorded and set(recorded) <= set(names):
        return list(recorded), "model"
    guessed = guess_text(split) or (names[0] if len(names) == 1 else None)
    if guessed is None:
        hint = recorded[0] if recorded else TEXT_NAMES[0]
        raise DataError(
            f"{split.where}: no column {hint!r} ({accepted(hint, names)}); name that of the texts with --text"
        )
    return [guessed], "guessed"


def _check_free(names: Sequence[str], added: Sequence[str], source: Path) -> None:
    taken = next((name for name in added if name in names), None)
    if taken is not None:
        raise DataError(f"{source}: has a column {taken!r} already; rename it there, or take it out")
    double = next((name for name, count in Counter(added).items() if count > 1), None)
    if double is not None:
        raise DataError(f"the model has two labels called {double.removeprefix(f'{PROBABILITY}_')!r}; take --all away")


def _read(split: RawSplit, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, list[str]]]:
    """Yield some rows at a time, with their texts."""
    first_row = 1
    for whole in split.batches():
        for start in range(0, len(whole), _ROWS):
            batch = texts_decoded(whole.slice(start, _ROWS), split.where, first_row)
            batch = json_decoded(batch, columns, split.where, first_row)
            yield batch, clean_texts(batch, columns, split.where, first_row).to_pylist()
            first_row += len(batch)


class _Classifier:
    """A trained model, which gives texts the probabilities of its labels."""

    def __init__(self, folder: Path) -> None:
        from hypermix.classify.device import choose_place
        from hypermix.classify.model import load_trained, longest_input

        loaded: tuple[Network, PreTrainedTokenizerBase, list[str]]
        loaded = load_trained(str(folder), choose_place("auto", "float32"))
        self._network, self._tokenizer, self.labels = loaded
        self._longest = longest_input(self._network, int(self._tokenizer.model_max_length))

    def __call__(self, texts: Sequence[str], done: Predicted) -> NDArray[np.float64]:
        from hypermix.classify.encode import encode
        from hypermix.classify.finetune import predict as probabilities

        targets = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        rows = encode(self._tokenizer, texts, targets, self._longest)
        shares = probabilities(self._network, rows)
        done.empty += sum(not text.strip() for text in texts)
        done.cut += rows.cut
        done.labels.update(self.labels[position] for position in shares.argmax(axis=1))
        return shares


def _with_more(
    batch: pa.RecordBatch, shares: NDArray[np.float64], labels: Sequence[str], added: Sequence[str]
) -> pa.RecordBatch:
    """Put the columns with the predictions beside all others."""
    likeliest = [labels[position] for position in shares.argmax(axis=1)]
    numbers = [shares.max(axis=1), *shares.T]
    values = [pa.array(likeliest, pa.string()), *(pa.array(column.round(_DIGITS)) for column in numbers)]
    for name, column in zip(added, values, strict=False):
        batch = batch.append_column(name, column)
    return batch
