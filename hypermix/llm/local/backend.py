"""A causal language model that runs in this process, as a backend. torch is imported once a model is opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from hypermix.errors import LlmError
from hypermix.hashing import canonical_json
from hypermix.llm.backend import TOKENIZE, Refusal
from hypermix.llm.local.body import BodyError
from hypermix.llm.store import Answer, Question
from hypermix.records import COMPLETIONS, Abilities

if TYPE_CHECKING:
    from hypermix.llm.local.model import LocalModel, Prepared

ABILITIES = Abilities(echo=True)
"""What such a model takes: all that the completions API has, and as many likely tokens as one likes."""

_BATCHES = 4
"""Batches that may wait: enough that a batch is full, few enough that a stop comes soon."""


class LocalBackend:
    """Answers questions a batch at once.

    Questions of a batch change the last bits of each other's numbers. Several threads submit, in an order that nobody
    knows; so batches are filled in the order of the request keys, and equal runs make equal batches.

    Attributes:
        width: How many questions it can make use of at once.
        eager: False, so that batches are full.
    """

    eager = False

    def __init__(self, model: LocalModel, batch_size: int) -> None:
        self._model: LocalModel | None = model
        self._batch_size = batch_size
        self.width = _BATCHES * batch_size
        # Some threads add to the first and one takes from both: the ends of a deque are safe.
        self._coming: deque[Question] = deque()
        self._waiting: list[Question] = []
        self._ready: deque[tuple[Question, Answer | Refusal]] = deque()
        self._stopped = Event()

    def submit(self, question: Question) -> None:
        """Take a question; it is computed when an answer is collected."""
        self._coming.append(question)

    def collect(self) -> tuple[Question, Answer | Refusal] | None:
        """Return the next answer, after computing a batch if none is ready; None if no question is open."""
        if not self._ready:
            while self._coming:
                self._waiting.append(self._coming.popleft())
            self._waiting.sort(key=lambda question: question.key)
            batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
            self._ready.extend(zip(batch, self._compute(batch), strict=True))
        return self._ready.popleft() if self._ready else None

    def stored(self, question: Question) -> None:
        """Do nothing: an answer that is lost costs nothing but its time."""

    def stop(self) -> None:
        """Compute nothing more; questions that wait are refused."""
        self._stopped.set()

    def close(self) -> None:
        """Give the model's memory back."""
        self.stop()
        self._model = None

    def tokenize(self, text: str) -> list[bytes]:
        """Return the bytes of each token of a text, without special tokens.

        Raises:
            LlmError: If the backend is closed.
        """
        if self._model is None:
            raise LlmError("the model is closed; open it again")
        return self._model.tokenize(text)

    def _compute(self, batch: Sequence[Question]) -> list[Answer | Refusal]:
        model = self._model
        if model is None or self._stopped.is_set():
            error = LlmError("the model was stopped before this question")
            return [Refusal(error, unsent=True, fatal=False) for _ in batch]
        prepared = [_prepare(model, question) for question in batch]
        sound = [one for one in prepared if not isinstance(one, Refusal | Answer)]
        try:
            answers: Iterator[Answer | Refusal] = iter([Answer(text) for text in model.compute(sound)])
        except LlmError as failure:
            answers = iter([Refusal(failure)] * len(sound))
        return [one if isinstance(one, Refusal | Answer) else next(answers) for one in prepared]


def _prepare(model: LocalModel, question: Question) -> Prepared | Answer | Refusal:
    if question.path == TOKENIZE:
        pieces = model.tokenize(str(question.body.get("content", "")))
        return Answer(canonical_json({"tokens": [{"piece": [*piece]} for piece in pieces]}))
    if question.path != COMPLETIONS:
        return Refusal(LlmError(f"a model of api: transformers answers {COMPLETIONS} alone, not {question.path}"))
    # Without a seed, equal bodies that differ in their sample would give the same draw.
    seed = {} if question.body.get("seed") is not None else {"seed": int(question.key[:15], 16)}
    try:
        return model.prepare({**question.body, **seed})
    except BodyError as error:
        return Refusal(error, fatal=error.fatal, param=error.param)


@contextmanager
def open_local(
    folder: Path,
    *,
    dtype: Literal["float32", "bfloat16", "float16"],
    context: int,
    batch_size: int,
    threads: int,
) -> Iterator[LocalBackend]:
    """Load a model for the length of a block, on the GPU if there is one.

    Args:
        folder: Its folder, as `local_files` returns it.
        dtype: The numbers of the computation.
        context: Tokens of the longest prompt with its answer.
        batch_size: Answers that are computed at once.
        threads: Threads of a computation without a GPU; put back afterwards.

    Yields:
        The backend.

    Raises:
        ServerError: If the model cannot be loaded.
    """
    import torch

    from hypermix.llm.local.model import load_local

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        backend = LocalBackend(load_local(folder, dtype=dtype, context=context, batch_size=batch_size), batch_size)
        try:
            yield backend
        finally:
            backend.close()
    finally:
        torch.set_num_threads(before)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
