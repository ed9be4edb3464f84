"""augment: the synthetic rows of one draw, and the receipt for what they cost."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypermix import tables
from hypermix.augment import control, gpt3mix
from hypermix.augment.base import AUGMENTERS, Augmenter, Slot
from hypermix.augment.verbalizer import find_problems, read_words, refuse_alike, show_words, words_to_json
from hypermix.data.rows import row_ids
from hypermix.errors import AugmentError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.llm.client import Client, Usage
from hypermix.llm.embedded import embedded_llm, locate_model
from hypermix.llm.store import RequestStore
from hypermix.records import Completion, Example, SyntheticRow, Task
from hypermix.steps.provenance import describe

_LOG = logging.getLogger(__name__)
_PROGRESS_SECONDS = 10.0
_SHOWN_ANSWERS = 3
_ENOUGH_TO_GIVE_UP = 10
"""Answers after which asking on is a waste if none could be used."""

_SHOWN_CHARACTERS = 300
METHODS = (control, gpt3mix)
"""The modules whose import registers the augmentation methods."""


def run(
    keys: Mapping[str, str],
    slice_json: str,
    train: Path,
    runtime: Mapping[str, Any],
    outputs: Mapping[str, Path],
) -> None:
    """Make the synthetic rows of one draw.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter`` and ``trial``.
        slice_json: The slice of `augment`.
        train: The subsampled train rows.
        runtime: What changes no result: ``cache``, the folder of the request store and of joined models; ``threads``
            of an embedded model; ``offline``, whether the store alone answers.
        outputs: Where ``synthetic`` and ``receipt`` go.

    Raises:
        AugmentError: If no answer could be used, or the tokens of the label words can give no soft labels.
        LlmError: If the endpoint gives no answer.
    """
    started = time.perf_counter()
    parts = json.loads(slice_json)
    seeds = {name: int(keys[name]) for name in ("data_seed", "trial")}
    drawn = read_provenance(train)
    labels = drawn["labels"]
    examples = [Example(*row) for row in read_table(train, "train").itertuples(index=False, name=None)]
    task = _word_task(parts, labels)
    augmenter = AUGMENTERS.get(parts["augmenter"]["method"])(parts["augmenter"], task)
    seed = seeds["trial" if parts["augmenter"]["draw"] == "trial" else "data_seed"]
    with _open_client(parts.get("llm"), runtime) as client:
        words = _check_words(client, task, parts["augmenter"].get("labels", "hard")) if client else None
        rows = _make_rows(augmenter, examples, seed, client)
    model = dict(client.llm.identity) if client else None
    wanted, kept = augmenter.n_rows(len(examples)), sum(row.kept for row in rows)
    if kept < wanted:
        _LOG.warning(
            "%d of %d rows were made; the others had no usable answer in %d tries", kept, wanted, augmenter.attempts
        )
    more = {"labels": labels, "short": drawn["short"], "model": model, "words": words}
    provenance = describe("augment", slice_json, {**keys, **seeds}, {"train": train}, **more)
    llm = parts["llm"]["name"] if "llm" in parts else None
    write_table(outputs["synthetic"], tables.from_columns("synthetic", _to_frame(rows, llm)), provenance)
    usage = client.usage if client else Usage()
    receipt = _receipt(usage, llm, wanted, kept, time.perf_counter() - started)
    write_table(outputs["receipt"], tables.from_columns("receipt", receipt), provenance)


def _word_task(parts: Mapping[str, Any], labels: Sequence[str]) -> Task:
    task = parts.get("task") or {"text_type": "text", "label_type": "label", "label_words": {}}
    unknown = sorted(set(task["label_words"]) - set(labels))
    if unknown:
        raise AugmentError(f"label_words names the labels {unknown}, which the dataset lacks; it has {list(labels)}")
    words = {label: task["label_words"].get(label, label) for label in labels}
    return Task(task["text_type"], task["label_type"], words)


def _check_words(client: Client, task: Task, labels: str) -> list[list[Any]]:
    """Tell what the tokens of the label words lead to, before anything is paid; return them for the provenance."""
    words = read_words(task, client.tokenize(show_words(task)))
    refuse_alike(words, labels)
    for problem in find_problems(words, labels):
        _LOG.warning("%s", problem)
    return words_to_json(words)


@contextmanager
def _open_client(llm: Mapping[str, Any] | None, runtime: Mapping[str, Any]) -> Iterator[Client | None]:
    if llm is None:
        yield None
        return
    cache = Path(runtime["cache"])
    found = embedded_llm(locate_model(llm["model"], cache / "models"), llm["context"], runtime["threads"])
    with Client(found, RequestStore(cache / "requests"), offline=runtime["offline"]) as client:
        yield client


def _make_rows(
    augmenter: Augmenter, examples: Sequence[Example], seed: int, client: Client | None
) -> list[SyntheticRow]:
    """Ask for every row, and again for those that cannot be used, a bounded number of times."""
    made: dict[Slot, SyntheticRow] = {}
    answers: dict[Slot, Completion] = {}
    missing = list(range(augmenter.n_rows(len(examples))))
    progress = _Progress(len(missing))
    for attempt in range(augmenter.attempts):
        slots = [Slot(row, attempt) for row in missing]
        requests = augmenter.plan(examples, seed, slots)
        for position, slot in enumerate(slots):
            if client is not None:
                answers[slot] = client.complete(requests[position])
            answered = [answers[slot]] if slot in answers else []
            (made[slot],) = augmenter.harvest(examples, seed, [slot], answered)
            if client is not None:
                progress.count(made[slot].kept)
            if len(made) == _ENOUGH_TO_GIVE_UP:
                _refuse_hopeless(made, answers)
        missing = [slot.row for slot in slots if not made[slot].kept]
    _refuse_hopeless(made, answers)
    return [made[slot] for slot in sorted(made)]


def _refuse_hopeless(made: Mapping[Slot, SyntheticRow], answers: Mapping[Slot, Completion]) -> None:
    """Fail if there are answers and none can be used; rows are kept or there is nothing to train on."""
    if not answers or any(row.kept for row in made.values()):
        return
    shown = [
        f"  {answer.text[:_SHOWN_CHARACTERS]!r} ({made[slot].reason})"
        for slot, answer in list(answers.items())[:_SHOWN_ANSWERS]
    ]
    cut = all(row.reason == "cut off" for row in made.values())
    advice = "raise the augmenter's max_tokens" if cut else "try more examples, another model, or plainer label words"
    advice += "; stored answers cost nothing again"
    raise AugmentError("\n".join([f"none of {len(answers)} answers can be used; the first are", *shown, advice]))


class _Progress:
    """Tells rows done, rate and usable share, at most every few seconds."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._asked = self._kept = 0
        self._started = self._told = time.perf_counter()

    def count(self, kept: bool) -> None:
        self._asked += 1
        self._kept += kept
        now = time.perf_counter()
        if now - self._told >= _PROGRESS_SECONDS or self._kept == self._wanted:
            self._told = now
            rate = 60 * self._asked / max(now - self._started, 1e-9)
            share = self._kept / self._asked
            _LOG.info(
                "%d of %d rows, %.0f answers a minute, %.0f %% usable", self._kept, self._wanted, rate, 100 * share
            )


def _to_frame(rows: Sequence[SyntheticRow], llm: str | None) -> dict[str, list[Any]]:
    # What has no text is told apart by the answer that it came from.
    texts = [row.text or row.request_key for row in rows]
    return {
        "id": row_ids(texts, [row.label for row in rows]),
        "text": [row.text for row in rows],
        "label": [row.label for row in rows],
        "soft_label": [row.soft_label for row in rows],
        "label_source": [row.label_source for row in rows],
        "label_mass": [row.label_mass for row in rows],
        "source_ids": [row.source_ids for row in rows],
        "llm": [llm] * len(rows),
        "request_key": [row.request_key for row in rows],
        "kept": [row.kept for row in rows],
        "reason": [row.reason for row in rows],
    }


def _receipt(usage: Usage, llm: str | None, wanted: int, kept: int, seconds: float) -> dict[str, list[Any]]:
    return {
        "llm": [llm],
        "requests_paid": [usage.paid],
        "requests_replayed": [usage.replayed],
        "requests_unknown": [usage.unknown],
        "prompt_tokens": [usage.prompt_tokens],
        "completion_tokens": [usage.completion_tokens],
        "usd": [0.0],  # a model that runs here costs nothing
        "rows_wanted": [wanted],
        "rows_kept": [kept],
        "seconds": [seconds],
    }
