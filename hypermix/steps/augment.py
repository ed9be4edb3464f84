"""augment: the synthetic rows of one draw, and the receipt for what they cost."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypermix import tables
from hypermix.augment import (
    attributed,
    backtranslate,
    conditional,
    contextual,
    control,
    cotam,
    custom,
    eda,
    gpt3mix,
    paraphrase,
    promptmix,
    template,
)
from hypermix.augment.base import AUGMENTERS, Augmenter, Material
from hypermix.augment.relabel import name_scored, relabel
from hypermix.augment.tools import NO_TOOLS, Tools
from hypermix.augment.verbalizer import find_problems, read_words, refuse_alike, show_words, words_to_json
from hypermix.data.rows import row_ids
from hypermix.errors import AugmentError
from hypermix.files import read_provenance, read_table, write_table
from hypermix.llm.client import Client
from hypermix.llm.price import Rate
from hypermix.llm.usage import Usage
from hypermix.records import Abilities, Example, SyntheticRow, Task
from hypermix.steps.further import read_further
from hypermix.steps.labeler import Labeler, describe_encoder
from hypermix.steps.model import abilities, open_llm, open_store
from hypermix.steps.provenance import describe
from hypermix.steps.rewriter import open_tools
from hypermix.steps.rows import Draw, Rows, Sieve
from hypermix.steps.sieve import open_filter
from hypermix.steps.spent import SPENDING, SPENT

_LOG = logging.getLogger(__name__)
METHODS = (
    control,
    gpt3mix,
    paraphrase,
    conditional,
    attributed,
    promptmix,
    cotam,
    template,
    custom,
    eda,
    contextual,
    backtranslate,
)
"""The modules whose import registers the augmentation methods."""


def run(
    keys: Mapping[str, str],
    slice_json: str,
    inputs: Mapping[str, Path],
    runtime: Mapping[str, Any],
    outputs: Mapping[str, Path],
) -> None:
    """Make the synthetic rows of one draw.

    Args:
        keys: ``dataset``, ``subsample``, ``data_seed``, ``augmenter`` and ``trial``.
        slice_json: The slice of `augment`.
        inputs: ``train``, the subsampled train rows; for further real rows ``further``, all of train; for the filter
            of leaks ``tested``, all test rows.
        runtime: What changes no result: ``cache``, the folder of the request store and of joined models; ``threads``
            of a model that runs here; ``offline``, whether the store alone answers; ``results``, the folder that names
            the experiment; ``llm``, its limits, price and the place of its key; ``budget``, the caps.
        outputs: Where ``synthetic`` and ``receipt`` go.

    Raises:
        AugmentError: If no answer could be used, or the tokens of the label words can give no soft labels.
        LlmError: If the endpoint gives no answer.
    """
    started = time.perf_counter()
    work = open_work(keys, slice_json, inputs)
    parts, labels = work.parts, work.drawn["labels"]
    tools, rewriter = open_tools(parts["augmenter"], runtime)
    with _open_client(parts.get("llm"), runtime) as client:
        takes = abilities(parts["llm"], runtime, client) if client else None
        augmenter = work.build(takes, tools, offline=bool(runtime["offline"]))
        words, draw = make_rows(work, augmenter, client)
    refuse_mixed(draw.rows)
    wanted, kept = augmenter.n_rows, sum(row.kept for row in draw.rows)
    if kept < wanted:
        _LOG.warning(
            "%d of %d rows were made; the others could not be used in %d tries%s",
            kept,
            wanted,
            augmenter.attempts,
            _word_reasons(draw.rows),
        )
    model = dict(client.llm.identity) if client else None
    more = {"labels": labels, "short": work.drawn["short"], "model": model, "words": words, "wanted": wanted}
    if rewriter:
        more["rewriter"] = rewriter
    if takes is not None:
        more["abilities"] = asdict(takes)
    other = parts["augmenter"].get("relabel")
    if other is not None and other["by"] == "classifier":
        more["encoder"] = describe_encoder(other, offline=bool(runtime["offline"]))
    provenance = describe("augment", slice_json, {**keys, **_seeds(keys)}, inputs, **more)
    llm = parts["llm"]["name"] if "llm" in parts else None
    write_table(outputs["synthetic"], tables.from_columns("synthetic", _to_frame(draw.rows, llm)), provenance)
    counted = {"rows_wanted": wanted, "rows_kept": kept, "requests_discarded": draw.discarded}
    receipt = _receipt(client, counted, time.perf_counter() - started)
    write_table(
        outputs["receipt"],
        tables.from_columns("receipt", {name: [value] for name, value in {"llm": llm, **receipt}.items()}),
        {**provenance, SPENT: {name: receipt[name] for name in SPENDING}},
    )


@dataclass(frozen=True)
class Work:
    """What one draw is made from.

    Attributes:
        parts: The slice of `augment`.
        drawn: The provenance of the subsample.
        examples: Its train rows.
        task: The wording of the dataset.
        seed: The seed of the draw.
        further: The rows of train that were not drawn, for the augmenter that takes them.
        tested: The test rows, for the filter of leaks.
    """

    parts: Mapping[str, Any]
    drawn: Mapping[str, Any]
    examples: Sequence[Example]
    task: Task
    seed: int
    further: Sequence[Example]
    tested: Path | None

    def build(self, takes: Abilities | None, tools: Tools = NO_TOOLS, *, offline: bool = False) -> Augmenter:
        """Return the augmenter.

        Args:
            takes: What the language model takes that it asks; None if it asks none.
            tools: What computes here for it.
            offline: Whether no hub is asked for the encoder of a classifier.
        """
        settings = self.parts["augmenter"]
        material = Material(self.examples, self.task, self.seed, takes, self.further, tools)
        augmenter = AUGMENTERS.get(settings["method"])(settings, material)
        other = settings.get("relabel")
        if other is None:
            return augmenter
        labeler = Labeler(other, self.examples, self.task.labels, offline=offline)
        return relabel(augmenter, other, material, labeler)

    def sieve(self) -> Sieve | None:
        """Return what refuses rows; None if the method has no filters.

        Raises:
            AugmentError: If the language of texts cannot be told.
        """
        return open_filter(self.parts["augmenter"], self.examples, len(self.task.labels), self.tested)


def open_work(keys: Mapping[str, str], slice_json: str, inputs: Mapping[str, Path]) -> Work:
    """Read what one draw is made from; see `run`.

    Raises:
        AugmentError: If the config has words for labels that the dataset lacks.
    """
    parts, drawn = json.loads(slice_json), read_provenance(inputs["train"])
    examples = [Example(*row) for row in read_table(inputs["train"], "train").itertuples(index=False, name=None)]
    seed = _seeds(keys)["trial" if parts["augmenter"]["draw"] == "trial" else "data_seed"]
    drawn_rows = [inputs[name] for name in ("train", "tested", "held") if name in inputs]
    further = read_further(inputs["further"], drawn_rows) if "further" in inputs else ()
    return Work(parts, drawn, examples, _word_task(parts, drawn["labels"]), seed, further, inputs.get("tested"))


def make_rows(work: Work, augmenter: Augmenter, client: Client | None) -> tuple[list[list[Any]] | None, Draw]:
    """Make the rows of one draw.

    Args:
        work: What the draw is made from.
        augmenter: Its augmenter.
        client: Who is asked; None if nobody is.

    Returns:
        What the tokens of the label words lead to, or None where no label is read from tokens; and the draw.

    Raises:
        AugmentError: If no answer could be used, or the tokens of the label words can give no soft labels.
        LlmError: If there is no answer.
    """
    words = _check_words(client, work.task, work.parts["augmenter"]) if client else None
    return words, Rows(augmenter, work.sieve(), client).make()


def _word_reasons(rows: Sequence[SyntheticRow]) -> str:
    counts = Counter(row.reason for row in rows if row.reason is not None).most_common()
    return f" ({', '.join(f'{reason}: {count}' for reason, count in counts)})" if counts else ""


def _seeds(keys: Mapping[str, str]) -> dict[str, int]:
    return {name: int(keys[name]) for name in ("data_seed", "trial")}


def _word_task(parts: Mapping[str, Any], labels: Sequence[str]) -> Task:
    task = parts.get("task") or {"text_type": "text", "label_type": "label", "label_words": {}}
    unknown = sorted(set(task["label_words"]) - set(labels))
    if unknown:
        raise AugmentError(f"label_words names the labels {unknown}, which the dataset lacks; it has {list(labels)}")
    words = {label: task["label_words"].get(label, label) for label in labels}
    return Task(task["text_type"], task["label_type"], words)


def _check_words(client: Client, task: Task, settings: Mapping[str, Any]) -> list[list[Any]] | None:
    """Tell what the tokens of the label words lead to, before anything is paid.

    Returns:
        Them, for the provenance; None where no label word is read from tokens.
    """
    source = name_scored(settings)
    if source is None:
        return None
    words = read_words(task, client.tokenize(show_words(task)))
    refuse_alike(words, source)
    for problem in find_problems(words, source):
        _LOG.warning("%s", problem)
    return words_to_json(words)


@contextmanager
def _open_client(llm: Mapping[str, Any] | None, runtime: Mapping[str, Any]) -> Iterator[Client | None]:
    if llm is None:
        yield None
        return
    with Client(open_llm(llm, runtime), open_store(llm, runtime), offline=runtime["offline"]) as client:
        yield client


def refuse_mixed(rows: Sequence[SyntheticRow]) -> None:
    """Refuse rows whose labels are of several kinds: they mean different things, and no table could tell them apart.

    Raises:
        AugmentError: If kept rows name more than one `label_source`.
    """
    sources = sorted({str(row.label_source) for row in rows if row.kept})
    if len(sources) > 1:
        raise AugmentError(f"the labels of one augmentation come from {', '.join(sources)}; one source is wanted")


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


def _receipt(client: Client | None, counted: Mapping[str, int], seconds: float) -> dict[str, Any]:
    usage = client.usage if client else Usage()
    rate = client.llm.rate if client else Rate()
    if usage.silent and rate != Rate():
        _LOG.warning("%d answers do not tell their tokens, so what they cost is unknown", usage.silent)
        rate = None
    return {
        "requests_paid": usage.paid,
        "requests_replayed": usage.replayed,
        "requests_unknown": usage.unknown,
        "prompt_tokens": usage.tokens.prompt,
        "completion_tokens": usage.tokens.completion,
        "usd": None if rate is None else rate.usd(usage.tokens),
        "usd_paid": None if rate is None else rate.usd(usage.tokens_paid),
        **counted,
        "seconds": seconds,
    }
