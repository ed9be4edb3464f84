"""Making a batch, and finding it again: the order of steps in which no batch is made twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from hypermix.errors import LlmError
from hypermix.llm.batch.endpoint import BatchEndpoint, UnreachableError
from hypermix.llm.batch.records import BatchRecord, BatchRecords, Chunk

_SEARCH_PAUSE = 5.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """How long is waited for what, in seconds.

    Attributes:
        poll: Between two looks at a batch.
        settling: After which a batch that was made stands in the endpoint's list for certain.
        sleep: Waits so many seconds; None for a wait that ends when the job does.
        clock: Tells the seconds since some moment.
    """

    poll: float = 60.0
    settling: float = 60.0
    sleep: Callable[[float], object] | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Submission:
    """The ways of a batch to the endpoint. `adopt` and `submit` are called under the lock of the records.

    Attributes:
        endpoint: The account.
        records: What is on the disk.
        tries: How often a batch is sent to be made.
        timing: How long is waited for what.
        sleep: Waits so many seconds.
    """

    endpoint: BatchEndpoint
    records: BatchRecords
    tries: int
    timing: Timing
    sleep: Callable[[float], object]

    def adopt(self, wanted: set[str], known: set[str]) -> list[BatchRecord]:
        """Return the batches that hold wanted keys, whoever made them.

        Args:
            wanted: Request keys.
            known: Tokens of the records that are known already.

        Raises:
            LlmError: If a record cannot be read, or the endpoint does not tell whether there is a batch.
        """
        found = []
        for record in self.records.read(self.endpoint.base_url):
            if record.token in known or wanted.isdisjoint(record.keys):
                continue
            if record.batch is not None:
                found.append(record)
                continue
            # The process that made it does not hold the lock any more, so it is gone, or it got no clear answer.
            batch = self._search(record) if record.file else None
            if batch is None:
                self.records.drop(record)
            else:
                found.append(self._note(replace(record, batch=batch)))
        for record in found:
            _LOG.info("%s is gone on with: %d questions", record.shown, len(record.keys))
        return found

    def submit(self, chunk: Chunk) -> BatchRecord:
        """Make one batch.

        Raises:
            LlmError: If it was not made, and no record is left.
            UnreachableError: If it was perhaps made. Its record is left, so that `adopt` finds it.
        """
        record = BatchRecord.begin(self.endpoint.base_url, (question.key for question in chunk.questions))
        try:
            self.records.write(record)
            record = replace(record, file=self.endpoint.upload(bytes(chunk.content)))
            self.records.write(record)
        except (OSError, LlmError) as error:
            self.records.drop(record)
            told = str(error) if isinstance(error, LlmError) else unwritable(self.records, error)
            raise LlmError(told) from None
        try:
            record = replace(record, batch=self._create(record, chunk.path))
        except UnreachableError:
            raise
        except LlmError:
            self.records.drop(record)
            raise
        _LOG.info("%s: %d questions are sent", record.shown, len(record.keys))
        return self._note(record)

    def _create(self, record: BatchRecord, path: str) -> str:
        """Make a batch. Without a clear answer it is searched for before it is sent again."""
        left = self.tries
        while True:
            try:
                return self.endpoint.create(record, path)
            except UnreachableError as error:
                left -= 1
                found = self._search(record)
                if found is not None:
                    return found
                if not left:
                    raise
                _LOG.warning("%s", error)

    def _search(self, record: BatchRecord) -> str | None:
        """Search the endpoint's list, for as long as a batch may come late to it."""
        timing = self.timing
        until = timing.clock() + timing.settling
        while True:
            found = self.endpoint.find(record)
            if found is not None or timing.clock() >= until:
                return found
            self.sleep(min(timing.settling, _SEARCH_PAUSE))

    def _note(self, record: BatchRecord) -> BatchRecord:
        """Put the id of a batch on the disk, before the batch is looked at."""
        try:
            self.records.write(record)
        except OSError as error:
            _LOG.warning("%s: its id cannot be written: %s; it is found again by metadata", record.shown, error)
        return record


def unwritable(records: BatchRecords, error: OSError) -> str:
    """Word that a file of a batch cannot be written."""
    return f"{records.folder}: cannot be written: {error.strerror}; see to room and permissions there, and run again"
