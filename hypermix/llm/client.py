"""Asking one language model, many questions at once; whatever the store holds is not asked again."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

from hypermix.errors import HypermixError, LlmError
from hypermix.llm.answer import read_answer, read_usage
from hypermix.llm.backend import Backend, Refusal
from hypermix.llm.claim import Claim
from hypermix.llm.price import Rate, Tokens
from hypermix.llm.store import Answer, Question, Record, RequestStore
from hypermix.llm.usage import Usage
from hypermix.records import Choice, Completion, Request

_LOG = logging.getLogger(__name__)
_SHOWN_PROMPT = 60
_THREADS = 4  # that write claims, and as many others that write answers: they wait for the disk, not for each other

Outcome = Completion | Refusal | BaseException


@dataclass(frozen=True)
class Llm:
    """A language model that can be asked.

    Attributes:
        name: Its name in a request.
        identity: What stands for it in a request key.
        open: Opens what answers, for as long as the context lasts.
        extra: Settings that go into the body of every request.
        tokenizer: The path of its tokenizer, in the form of llama.cpp's server; None if it has none.
        rate: What it charges; None if the config does not say.
        remembers: Whether what answers finds again what it sent before a crash, as a batch does. A claim that it lost
            is no unknown spend then; one that a direct request lost for the same key is.
    """

    name: str
    identity: Mapping[str, str]
    open: Callable[[], AbstractContextManager[Backend]]
    extra: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    rate: Rate | None = field(default_factory=Rate)
    remembers: bool = False

    def question(self, request: Request) -> Question:
        """Return a request as it is sent to this model, and stored."""
        return Question(self.identity, request.path, {"model": self.name, **self.extra, **request.body}, request.sample)


class Client:
    """Asks one language model and keeps every answer; a context manager.

    What answers is opened by the first request that the store cannot answer, so a replay starts no server. At its end
    nothing more is sent, and what was sent is waited for and stored, since it is paid for.

    Attributes:
        llm: Who is asked.
        usage: What was asked so far.
    """

    def __init__(self, llm: Llm, store: RequestStore, *, offline: bool = False) -> None:
        self.llm = llm
        self.usage = Usage()
        self._store = store
        self._offline = offline
        self._stack = ExitStack()
        self._opening = threading.Lock()
        self._backend: Backend | None = None
        self._changed = threading.Condition()
        self._begun = self._blocked = self._ending = 0
        self._open: dict[str, tuple[Hashable, Claim]] = {}
        self._ready: deque[tuple[Hashable, Outcome, Usage]] = deque()
        self._waiting = self._closed = False
        self._broken: HypermixError | None = None
        self._stopping = threading.Event()
        self._begin_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="claims")
        self._end_pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="answers")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._drain(interrupted=kind is not None and issubclass(kind, KeyboardInterrupt))
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._stack.close()
            self._end_pool.shutdown(wait=False, cancel_futures=True)

    @property
    def room(self) -> bool:
        """Whether one more question is of use before an answer is taken."""
        width = self._backend.width if self._backend else _THREADS
        with self._changed:
            # Answers that are being stored keep no connection busy.
            return self._begun + len(self._open) < width > self._ending + len(self._ready)

    def submit(self, tag: Hashable, request: Request) -> None:
        """Ask a question; `take` gives its tag back beside the answer."""
        self.submit_question(tag, self.llm.question(request))

    def submit_question(self, tag: Hashable, question: Question) -> None:
        """Ask a question that is complete, with its model's name."""
        with self._changed:
            self._begun += 1
        begun = self._begin_pool.submit(self._begin, tag, question)
        begun.add_done_callback(partial(self._note, 1, 0))

    def take(self) -> tuple[Hashable, Completion]:
        """Wait for an answer.

        Returns:
            The tag of its question, and the answer. One that a content policy refused has no text and the finish
            reason ``content_filter``; it is not stored.

        Raises:
            LlmError: If there is no answer. Answers so far are stored; running again asks for the rest.
        """
        tag, found = self.take_any()
        if isinstance(found, Completion):
            return tag, found
        raise found.error

    def take_any(self) -> tuple[Hashable, Completion | Refusal]:
        """Wait for an answer or a refusal; see `take`.

        Raises:
            LlmError: If there can be no answer.
        """
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready or not (self._begun or self._open or self._ending))
            self._waiting = False
            if not self._ready:
                raise LlmError(f"{self.llm.name} was asked nothing that can still be answered; run again")
            tag, found, usage = self._ready.popleft()
        self.usage.add(usage)
        if isinstance(found, BaseException):
            raise found
        return tag, found

    def complete(self, request: Request) -> Completion:
        """Ask one question and wait for its answer; see `take`."""
        self.submit(None, request)
        return self.take()[1]

    def tokenize(self, texts: Sequence[str]) -> list[list[bytes]] | None:
        """Return the tokens of each text by the model's own tokenizer, from the store if they are there.

        Nothing is paid for it, so it is not counted.

        Returns:
            The bytes of each token, in order; None if the endpoint has no tokenizer.

        Raises:
            LlmError: If the endpoint gives no answer.
        """
        path = self.llm.tokenizer
        if path is None:
            return None
        bodies = [{"content": text, "with_pieces": True} for text in texts]
        questions = [Question(self.llm.identity, path, body, "") for body in bodies]
        return [_read_pieces(self.fetch(one, partial(self._ask_plainly, one)).response) for one in questions]

    def fetch(self, question: Question, find: Callable[[], Answer]) -> Answer:
        """Return what is stored under a question that nothing is paid for, or find it and store it.

        Raises:
            LlmError: If it is not stored and cannot be found.
        """
        found = self._look(question)
        if isinstance(found, Record):
            return found.answer
        with ExitStack() as undo:
            undo.callback(_give_up, found)
            answer = find()
            undo.pop_all()
        return self._store.finish(found, question, answer).answer

    def _ask_plainly(self, question: Question) -> Answer:
        """Ask while no other question is open."""
        backend = self._connect()
        backend.submit(question)
        found = backend.collect()
        if found is None or isinstance(found[1], Refusal):
            raise found[1].error if found and isinstance(found[1], Refusal) else LlmError("nothing was asked")
        _read_pieces(found[1].response)
        return found[1]

    def _note(self, begun: int, ending: int, done: Future[None]) -> None:
        """Count down what a thread has done, and let what went wrong there be raised where answers are taken."""
        error = None if done.cancelled() else done.exception()
        with self._changed:
            self._begun, self._ending = self._begun - begun, self._ending - ending
            if error is not None:
                self._ready.append((None, error, Usage()))
            self._changed.notify_all()

    def _give(self, tag: Hashable, found: Outcome, usage: Usage) -> None:
        with self._changed:
            self._ready.append((tag, found, usage))
            self._changed.notify_all()

    def _begin(self, tag: Hashable, question: Question) -> None:
        found = self._look(question)
        if isinstance(found, Record):
            self._give(tag, *_read(found, paid=False))
            return
        with ExitStack() as undo:
            undo.callback(_give_up, found)
            backend = self._connect()
            with self._changed:
                if self._broken:
                    raise self._broken
                self._open[question.key] = tag, found
            undo.pop_all()
        backend.submit(question)

    def _look(self, question: Question) -> Record | Claim:
        """Return the stored answer or a claim to ask for it; offline there are no claims."""
        if not self._offline:
            return self._store.begin(question, self._pause, remembers=self.llm.remembers)
        stored = self._store.get(question.key)
        if stored is not None:
            return stored
        text = str(question.body.get("prompt", question.body.get("content", question.body.get("messages", ""))))
        sample = f"sample {question.sample}, " if question.sample else ""
        raise LlmError(
            f"offline: the answer to request {question.key} ({sample}{text[:_SHOWN_PROMPT]!r}) is not stored in "
            f"{self._store.folder}; set offline: false, or import a store that has it"
        )

    def _pause(self, seconds: float) -> None:
        """Wait for another process, unless the job ends."""
        with self._changed:
            self._blocked += 1
            self._changed.notify_all()
        stopped = self._stopping.wait(seconds)
        with self._changed:
            self._blocked -= 1
        if stopped:
            raise LlmError("the job ends while another process asks for the same answer")

    def _connect(self) -> Backend:
        with self._opening:
            if self._stopping.is_set():
                raise LlmError(f"{self.llm.name} is asked no more: the job ends")
            if self._backend is None:
                self._backend = self._stack.enter_context(self.llm.open())
                threading.Thread(target=self._collect, args=[self._backend], daemon=True).start()
            return self._backend

    def _collect(self, backend: Backend) -> None:
        """Take answers from what answers, in a thread of its own, until the client ends."""
        try:
            while self._await_open(backend):
                self._hand_on(backend, backend.collect())
        except HypermixError as error:
            self._break(error)
        finally:  # a thread that ended unheard would let all others wait for ever
            self._break(LlmError(f"{self.llm.name}: taking its answers failed, which the log tells; run again"))

    def _await_open(self, backend: Backend) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._due(backend))
            return not self._closed

    def _hand_on(self, backend: Backend, found: tuple[Question, Answer | Refusal] | None) -> None:
        with self._changed:
            if found is None or self._closed:
                return
            tag, claim = self._open.pop(found[0].key)
            self._ending += 1
            ended = self._end_pool.submit(self._end, backend, tag, claim, *found)
        ended.add_done_callback(partial(self._note, 0, 1))

    def _break(self, error: HypermixError) -> None:
        """Give up all that is open; its claims stay behind, since it was perhaps sent."""
        with self._changed:
            if self._closed or self._broken:
                return
            self._broken = error
            for _, claim in self._open.values():
                claim.leave()
            self._open.clear()
            self._give(None, error, Usage())

    def _due(self, backend: Backend) -> bool:
        """Tell whether an answer can be asked for; one that works on many at once gets all that there are first."""
        if not self._open or backend.eager or self._stopping.is_set():
            return bool(self._open)
        # Two processes that wait for each other's claims must both go on.
        begun = self._blocked < min(self._begun, _THREADS)
        return self._waiting and not (begun or self._ending or self._ready)

    def _end(
        self, backend: Backend, tag: Hashable, claim: Claim, question: Question, outcome: Answer | Refusal
    ) -> None:
        if isinstance(outcome, Refusal):
            with claim:
                if outcome.unknown:
                    claim.lose(outcome.unknown)
                elif outcome.unsent or outcome.fatal or outcome.filtered or not self.llm.remembers:
                    claim.withdraw()  # else it is under way, and found again later
            if outcome.filtered:
                filtered = Completion(question.key, (Choice("", "content_filter", ()),))
                self._give(tag, filtered, Usage(unknown=outcome.unknown))
            elif outcome.fatal or not outcome.unsent:  # else the job ends, and something else says why
                self._give(tag, outcome, Usage(unknown=outcome.unknown))
            return
        try:
            record = self._store.finish(claim, question, outcome)
        except LlmError:
            self._store = replace(self._store, patience=0.0)  # no other answer waits as long for the same room
            raise
        backend.stored(question)
        self._give(tag, *_read(record, paid=True))

    def _drain(self, *, interrupted: bool) -> None:
        """Send nothing more, and store the answers to what was sent."""
        self._stopping.set()
        with self._opening:  # an endpoint that is just being opened is stopped too
            backend = self._backend
        if backend is not None:
            backend.stop()
        self._begin_pool.shutdown(wait=True, cancel_futures=True)
        with self._changed:
            self._changed.notify_all()
            count = len(self._open)
            if count and interrupted:
                _LOG.info("interrupted; %d requests are under way: their answers are waited for and stored", count)
                _LOG.info("Ctrl-C again gives them up, though they may be paid")
            self._changed.wait_for(lambda: not (self._open or self._ending))


def _give_up(claim: Claim) -> None:
    with claim:
        claim.withdraw()


def _read(record: Record, *, paid: bool) -> tuple[Completion, Usage]:
    question, answer = record.question, record.answer
    try:
        found, used = read_answer(question.key, question.path, answer.response), read_usage(answer.response)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LlmError(
            f"what the store holds under {question.key} is no answer; it was stored by another program or version: "
            "delete this file, and run again"
        ) from None
    return found, Usage(int(paid), int(not paid), answer.unknown, used, used if paid else Tokens(), int(not used.total))


def _read_pieces(response: str) -> list[bytes]:
    """Read the pieces of a tokenizer's answer: text, or bytes where a token ends inside a character."""
    try:
        pieces = [entry["piece"] for entry in json.loads(response)["tokens"]]
        return [piece.encode() if isinstance(piece, str) else bytes([*piece]) for piece in pieces]
    except (ValueError, KeyError, TypeError):
        raise LlmError(
            f"the endpoint answered {response[:200]!r}, which has no tokens with their pieces; nothing was stored"
        ) from None
