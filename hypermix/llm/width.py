"""How many requests are under way at once: as many as the endpoint bears, and no more than a machine may have."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import lock_descriptor, unlock_descriptor

from hypermix.hashing import digest
from hypermix.llm.process import place

_LOG = logging.getLogger(__name__)


class Slot:
    """The right to have one request under way; a context manager.

    It is free again at once if its process dies.
    """

    def __init__(self, slots: Slots, index: int, handle: int | None) -> None:
        self._slots = slots
        self._index = index
        self._handle = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Give it back; nothing happens the second time."""
        if self._slots.held.get(self._index) is not self:
            return
        del self._slots.held[self._index]
        if self._handle is not None:
            try:
                unlock_descriptor(self._handle)  # a forked child may hold the descriptor too
            finally:
                os.close(self._handle)


class Slots:
    """The requests that all processes of this machine together may have under way.

    Each is a file under a lock of the kernel. Where files cannot be locked, which the log tells once, a process counts
    its own requests alone. Used by one thread.

    Attributes:
        held: The slots that this process holds, by their numbers.
    """

    def __init__(self, folder: Path, name: str, count: int) -> None:
        """Make the slots; no file is touched before one is taken.

        Args:
            folder: Where the jobs of this machine share their state.
            name: Whose slots these are, such as a URL and the name of a model. It is no file name.
            count: How many there are.
        """
        self.held: dict[int, Slot] = {}
        self._folder = folder
        self._stem = digest([name, place()])[:24]
        self._count = count
        self._alone = False

    def try_take(self) -> Slot | None:
        """Take a slot without waiting; None if all are taken."""
        for index in range(self._count):
            if index in self.held:
                continue
            slot = Slot(self, index, None) if self._alone else self._try(index)
            if slot is not None:
                self.held[index] = slot
                return slot
        return None

    def _try(self, index: int) -> Slot | None:
        try:
            handle = self._open(self._folder / f"{self._stem}.{index}.slot")
            try:
                if lock_descriptor(handle, blocking=False):
                    return Slot(self, index, handle)
            except OSError:
                os.close(handle)
                raise
        except OSError as error:
            _LOG.warning(
                "%s: no files can be locked there (%s); each job counts its own requests alone",
                self._folder,
                error.strerror,
            )
            self._alone = True
            return Slot(self, index, None)
        os.close(handle)
        return None

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)


class Width:
    """How many requests of a process an endpoint bears at once, found by trying.

    It doubles with each round of answers until the endpoint is overloaded for the first time, and grows by one a round
    from then on; each overload halves it (additive increase, multiplicative decrease). Used by one thread.

    Attributes:
        now: How many requests may be under way.
    """

    def __init__(self, most: int, first: int = 4) -> None:
        """Start gently.

        Args:
            most: The most requests that may be under way.
            first: How many may be at first.
        """
        self.now = max(1, min(first, most))
        self._most = max(1, most)
        self._halvings = 0
        self._answers = 0

    def mark(self) -> int:
        """Return what a request that is sent now must show when it is answered."""
        return self._halvings

    def succeeded(self, mark: int) -> None:
        """Grow, if a request got an answer.

        Args:
            mark: The mark of the request.
        """
        if mark != self._halvings or self.now >= self._most:
            return
        self._answers += 1
        if self._halvings == 0 or self._answers >= self.now:  # one more for each answer doubles in a round
            self.now, self._answers = self.now + 1, 0

    def overloaded(self, mark: int) -> None:
        """Halve, if a request was refused for the load, and was sent after the last halving.

        Args:
            mark: The mark of the request.
        """
        if mark == self._halvings:
            self._halvings += 1
            self.now, self._answers = max(1, self.now // 2), 0
