"""OpenAI's Batch API as a backend: many questions in one file, answered within a day, at half the price.

A batch outlives this process. Its record is on the disk before the endpoint hears of it, and stays until the request
store has every answer of it, so that a run that was killed, at whatever step, is gone on with and not paid again:

- a record with the batch's id: the batch is looked at, by every process that waits for a question of it;
- a record with a file and no id: perhaps there is a batch; it is searched for in the endpoint's list, by its metadata;
- a record without a file: there is no batch.

Records are read, decided on and written under one lock, which the system takes from a killed process.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Set
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from openai.types import Batch

from hypermix.errors import LlmError
from hypermix.llm.backend import Refusal
from hypermix.llm.batch.endpoint import BatchEndpoint, GoneError, UnreachableError
from hypermix.llm.batch.purse import Pending, Purse
from hypermix.llm.batch.records import MOST_QUESTIONS, BatchRecord, BatchRecords, split
from hypermix.llm.batch.submission import Submission, Timing, unwritable
from hypermix.llm.batch.verdict import Again, failure, is_queue_full, read_answers
from hypermix.llm.ledger import Ledger
from hypermix.llm.price import Rate
from hypermix.llm.store import Answer, Question

_ENDED = {"completed", "expired", "failed", "cancelled"}
_TOLD_EVERY = 60.0
"""Seconds between two lines of progress in the log."""

_SILENCE = 3600.0
"""Seconds in which no look at a batch succeeds, after which the job ends; the batch goes on."""

_LONGEST_QUEUE = 86_400.0
"""Seconds in which the endpoint's queue has no room for any batch, after which the job ends."""

_LONGEST_PAUSE = 3600.0
_LOG = logging.getLogger(__name__)

Result = Answer | Refusal
Results = Generator[tuple[Question, Result], None, None]


class BatchBackend:
    """Answers questions by OpenAI's Batch API. See `hypermix.llm.backend.Backend`.

    Attributes:
        width: How many questions one batch takes. Submit all there are before the first `collect`.
    """

    width = MOST_QUESTIONS
    eager = False

    def __init__(
        self,
        base_url: str,
        api_key: str,
        folder: Path,
        find: Callable[[str], Answer | None],
        *,
        rate: Rate | None = None,
        ledger: Ledger | None = None,
        tries: int = 6,
        most: int = MOST_QUESTIONS,
        timing: Timing | None = None,
    ) -> None:
        """Take over nothing yet.

        Args:
            base_url: URL up to and with ``/v1``.
            api_key: The key; it is sent and never stored or shown.
            folder: Where the records are, such as ``cache/batches``.
            find: Looks an answer up in the request store by its key. A record is removed when this finds all.
            rate: The price of the model in a batch.
            ledger: The caps on spending; None for none.
            tries: In how many batches a question is sent until it is answered.
            most: Most questions of a batch.
            timing: How long is waited for what.
        """
        self._stopped = threading.Event()
        self._endpoint = BatchEndpoint(base_url, api_key)
        self._records = BatchRecords(folder)
        timing = timing or Timing()
        self._sleep = timing.sleep or self._stopped.wait
        self._submission = Submission(self._endpoint, self._records, tries, timing, self._sleep)
        self._purse = Purse(ledger, rate or Rate())
        self._find, self._tries, self._most = find, tries, most
        self._poll, self._clock = timing.poll, timing.clock
        self._arrived: SimpleQueue[Question] = SimpleQueue()
        self._told = self._clock() - _TOLD_EVERY
        self._open: dict[str, Pending] = {}
        self._waited: dict[str, BatchRecord] = {}
        self._read: dict[str, BatchRecord] = {}
        self._over: set[str] = set()
        self._ready: deque[tuple[Question, Result]] = deque()
        self._stream = _nothing()
        self._silent: dict[str, float] = {}
        self._full_since: float | None = None  # when the endpoint's queue first had no room; no batch ended well since
        self._not_before = self._clock()

    def submit(self, question: Question) -> None:
        """Take a question; it is sent when no answer is ready."""
        self._arrived.put(question)

    def collect(self) -> tuple[Question, Result] | None:
        """Wait for the next answer; None if no question is open."""
        while True:
            if self._ready:
                return self._ready.popleft()
            result = next(self._stream, None)
            if result is not None:
                return result
            self._take()
            if self._stopped.is_set():
                self._let_go()
            if not self._open and not self._ready:
                return None
            self._send()
            if not self._ready and self._open:
                self._stream = self._wait()

    def stop(self) -> None:
        """Send nothing more, and wait for no batch: a later run finds those under way."""
        self._stopped.set()

    def stored(self, question: Question) -> None:
        """Do nothing: the store is looked at before a record goes."""

    def close(self) -> None:
        """Close the connections, and remove the records whose answers are stored. Batches under way go on."""
        self._stream.close()
        self._needed()
        self._clean()
        self._tell_open()
        for open_ in self._open.values():
            if not open_.sent:
                self._purse.release(open_)
        self._endpoint.close()

    def _take(self) -> None:
        while not self._arrived.empty():
            question = self._arrived.get()
            self._over.discard(question.key)
            if question.key in self._open:
                self._open[question.key].copies += 1
            else:
                self._open[question.key] = Pending(question)

    def _let_go(self) -> None:
        error = LlmError("the job ends")
        for open_ in list(self._open.values()):
            refusal = Refusal(error, unsent=not open_.sent, fatal=False)
            self._ready.extend(self._deliver(open_, refusal, keep=open_.sent))

    def _unheld(self) -> list[Pending]:
        """Return the questions that no batch holds."""
        held = {key for record in self._waited.values() for key in record.keys}
        return [open_ for key, open_ in self._open.items() if key not in held]

    def _send(self) -> None:
        """Send what no batch holds, of this process or another, unless it is stored by now."""
        waiting = self._unheld()
        if not waiting:
            return
        self._clean()
        if self._clock() >= self._not_before and not (self._full_since is not None and self._waited):
            try:
                with self._records.lock():
                    wanted = {open_.question.key for open_ in waiting}
                    for record in self._submission.adopt(wanted, {*self._waited, *self._read}):
                        self._waited[record.token] = record
                    self._replay(self._unheld())
                    self._submit(self._unheld())
            except LlmError as error:
                self._refuse(self._unheld(), error)

    def _replay(self, waiting: Iterable[Pending]) -> None:
        """Give what another process has stored since it was looked for; its record may be gone."""
        for open_ in waiting:
            answer = self._find(open_.question.key)
            if answer is not None:
                self._purse.release(open_)
                self._ready.extend(self._deliver(open_, answer))

    def _submit(self, waiting: Iterable[Pending]) -> None:
        fitting = []
        for open_ in waiting:
            try:
                self._purse.reserve(open_)
                fitting.append(open_.question)
            except LlmError as error:
                self._refuse([open_], error)
        for chunk in split(fitting, self._most):
            asked = [self._open[question.key] for question in chunk.questions]
            for open_ in asked:
                open_.sent = True
            try:
                record = self._submission.submit(chunk)
            except LlmError as error:
                for open_ in asked:
                    open_.sent = isinstance(error, UnreachableError)
                raise
            self._waited[record.token] = record
            if self._full_since is not None:  # one at a time
                break

    def _wait(self) -> Results:
        """Look at each batch once; return the answers of one that has ended, or pause."""
        for record in self._needed():
            batch = self._look(record)
            if batch is not None and batch.status in _ENDED:
                return self._answers(record, batch)
        if self._waited or self._unheld():
            self._sleep(self._poll)
        return _nothing()

    def _needed(self) -> list[BatchRecord]:
        """Return the batches that hold open questions, and let those go whose questions another batch answered."""
        for record in list(self._waited.values()):
            if self._open.keys().isdisjoint(record.keys):
                self._end(record)
        return list(self._waited.values())

    def _look(self, record: BatchRecord) -> Batch | None:
        try:
            batch = self._endpoint.look(record)
        except UnreachableError as error:
            since = self._silent.setdefault(record.token, self._clock())
            if self._clock() - since >= _SILENCE:
                self._give_up(record, error)
            else:
                _LOG.warning("%s goes on; %s", record.shown, error)
            return None
        except LlmError as error:
            self._give_up(record, error)
            return None
        self._silent.pop(record.token, None)
        self._tell(record, batch)
        return batch

    def _answers(self, record: BatchRecord, batch: Batch) -> Results:
        """Give the answers of a batch that has ended, and leave the rest to be sent again."""
        if batch.status == "failed":
            yield from self._fail(record, batch)
            return
        self._full_since = None
        waiting: dict[str, str | None] = dict.fromkeys(record.keys)
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                yield from self._read_file(record, file, waiting)
                if record.token not in self._waited:
                    return
        self._end(record)
        yield from self._rest(record, batch, waiting)

    def _read_file(self, record: BatchRecord, file: str, waiting: dict[str, str | None]) -> Results:
        """Give the answers of one file; what is left in `waiting` has none, with the reason where one is told."""
        stream = self._download(record, file)
        if stream is None:
            return
        with stream:
            for key, verdict in read_answers(stream, record, waiting.keys(), self._endpoint.shown):
                if isinstance(verdict, Again):
                    waiting[key] = verdict.reason
                    continue
                del waiting[key]
                if key in self._open:
                    yield from self._deliver(self._open[key], verdict)

    def _download(self, record: BatchRecord, file: str) -> IO[bytes] | None:
        with ExitStack() as stack:
            try:
                stream: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(dir=self._records.folder))
                self._endpoint.download(file, stream)
                stream.seek(0)
                stack.pop_all()
                return stream
            except GoneError:
                _LOG.warning("%s: a file of answers is gone; what it held is sent again", record.shown)
            except LlmError as error:
                self._give_up(record, error)
            except OSError as error:
                self._give_up(record, LlmError(unwritable(self._records, error)))
        return None

    def _rest(self, record: BatchRecord, batch: Batch, waiting: dict[str, str | None]) -> Results:
        """Refuse what was sent too often or has no other way; the others are sent again."""
        missing = 0
        for open_ in self._left(waiting.keys()):
            key = open_.question.key
            if batch.status == "cancelled":
                error = LlmError(f"{record.shown} was cancelled at the endpoint; run again to send the rest of it anew")
                yield from self._deliver(open_, Refusal(error, unknown=open_.unknown))
                continue
            reason = waiting[key]
            if reason is None and batch.status == "expired":
                reason = "the batch expired before it"
            if reason is None:  # it was perhaps paid
                missing, reason = missing + 1, "its line is missing in the answers"
                open_.unknown += 1
                self._purse.settle(open_, None)
            open_.sent = False
            open_.tries += 1
            if open_.tries >= self._tries:
                told = f"request {key} was not answered in {open_.tries} batches, at last because {reason}; run again"
                yield from self._deliver(open_, Refusal(LlmError(told), unknown=open_.unknown, fatal=False))
        if missing:
            _LOG.warning("%s: %d questions have no line in the answers and are sent again", record.shown, missing)

    def _fail(self, record: BatchRecord, batch: Batch) -> Results:
        """Nothing of the batch was answered or billed, so that its record is of no use."""
        self._end(record)
        self._records.drop(record)
        asked = self._left(set(record.keys))
        for open_ in asked:
            open_.sent = False
        now = self._clock()
        if is_queue_full(batch):
            since = self._full_since = now if self._full_since is None else self._full_since
            self._most = max(1, len(record.keys) // 2)
            self._not_before = now + min(_LONGEST_PAUSE, max(self._poll, (now - since) / 4))
            if now - since < _LONGEST_QUEUE:
                told = "%s: the endpoint's queue has no room; its questions are sent again, %d at a time"
                _LOG.warning(told, record.shown, self._most)
                return
        refusal = failure(record, batch, self._endpoint.shown)
        for open_ in asked:
            yield from self._deliver(open_, replace(refusal, unknown=open_.unknown))

    def _give_up(self, record: BatchRecord, error: LlmError) -> None:
        """Refuse the questions of a batch whose answers cannot be had now. Its record stays."""
        del self._waited[record.token]
        name = f"record {record.token}.json of {self._records.folder}"
        told = f"{error}; {name} holds it, and nothing is paid again"
        if isinstance(error, GoneError):
            told = f"{error}; set the key that it was made with, or delete {name}, which asks and pays anew"
        for open_ in self._left(set(record.keys)):
            self._ready.extend(self._deliver(open_, Refusal(LlmError(told), unknown=open_.unknown), keep=True))

    def _left(self, keys: Set[str]) -> list[Pending]:
        """Return the open questions of a batch that is over, except those that another batch holds."""
        return [open_ for open_ in self._unheld() if open_.question.key in keys]

    def _end(self, record: BatchRecord) -> None:
        del self._waited[record.token]
        self._read[record.token] = record

    def _deliver(self, open_: Pending, result: Result, *, keep: bool = False) -> list[tuple[Question, Result]]:
        """Return a question with its result, as often as it was asked; `keep` what is set aside for it."""
        key = open_.question.key
        del self._open[key]
        if isinstance(result, Answer):
            self._purse.settle(open_, result.response)
            result = replace(result, unknown=result.unknown + open_.unknown)
        elif not keep:
            self._over.add(key)
            self._purse.release(open_)
        return [(open_.question, result)] * open_.copies

    def _refuse(self, waiting: Iterable[Pending], error: LlmError) -> None:
        for open_ in waiting:
            refusal = Refusal(error, unknown=open_.unknown, unsent=not open_.sent and not open_.tries)
            self._ready.extend(self._deliver(open_, refusal, keep=open_.sent))

    def _clean(self) -> None:
        """Remove the records of which every answer is stored."""
        for token, record in list(self._read.items()):
            self._over.update(key for key in record.keys if key not in self._over and self._find(key) is not None)
            if self._over.issuperset(record.keys):
                self._records.drop(record)
                del self._read[token]

    def _tell(self, record: BatchRecord, batch: Batch) -> None:
        counts = batch.request_counts
        if counts is not None and self._clock() - self._told >= _TOLD_EVERY:
            self._told = self._clock()
            _LOG.info("%s: %s of %s done", record.shown, counts.completed + counts.failed, counts.total)

    def _tell_open(self) -> None:
        for record in self._waited.values():
            _LOG.warning("%s goes on at the endpoint; a later run waits for it and pays nothing", record.shown)
        self._waited.clear()


def _nothing() -> Results:
    yield from ()
