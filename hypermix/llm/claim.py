"""The right to send one request: an exclusive file, so that two processes never pay for the same answer.

A claim is a link to a file that says who its owner is (O_CREAT | O_EXCL, on the disk before anything is sent): of many
processes one alone makes the link, on NFS too, and no one reads a part. Without links O_EXCL decides on the name.
It is never taken away from its owner: whoever finds it lost makes its *successor*, a file named after the lost claim's
token, in the same way. The last of this chain is in force; those before it are requests that were perhaps paid and
whose answers are lost.

Whether an owner lives is looked up where its process ids mean the same; see `hypermix.llm.process`. Of any other place
only the clock can tell, so its claim holds until it expires, and some minutes more, by which clocks may differ. A claim
that holds too long costs time; one that ends too early would cost money.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hypermix.files import read_whole, write_bytes, write_new
from hypermix.hashing import canonical_json, digest
from hypermix.llm.process import describe, is_alive, place

SUFFIX = ".started"
LIFETIME = 2100.0
"""Seconds after which a claim ends: longer than the SDK's three tries of ten minutes."""

_SKEW = 300.0
"""Seconds by which the clocks of two machines may differ."""

_UNWRITTEN = 5.0
"""Seconds in which an owner writes its name into the file that it has made, where there are no links."""

_NO_LINKS = {getattr(errno, name) for name in ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EINVAL"]}
DRAFT = ".tmp"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 1.0
_TOKEN = re.compile(r"[0-9a-f]{16}")
_LOG = logging.getLogger(__name__)
_HELD: set[str] = set()
"""Paths of the claims that this process holds: one that it has left behind is as lost as that of a dead process."""

_OWNERS: dict[tuple[int, Path, float, bool], _Owner] = {}
_LOCK = threading.Lock()
_SHARED = 60.0
"""Seconds for which new claims share an owner's file, so that each lives for its lifetime at least."""

_MOST = 10_000
"""Claims that share an owner's file; file systems bear some ten thousand links."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class _Found:
    """A claim file as it was read; `owner` is None if it does not say, `lost` is how many requests it stands for.

    Its owner's way of asking may find again what it `remembers`.
    """

    path: Path
    token: str
    owner: dict[str, object] | None
    lost: int = 1
    remembers: bool = False


class Claim:
    """A claim that this process holds; a context manager.

    Unless it was settled or withdrawn, its file stays behind at the end, and whoever takes over counts it as unknown.

    Attributes:
        unknown: How many requests were lost under the claims before it.
    """

    def __init__(self, chain: list[Path], owner: _Owner, unknown: int) -> None:
        self._chain = chain
        self._owner = owner
        self._token = owner.token
        self._held = True
        self.unknown = unknown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leave()

    def leave(self) -> None:
        """Leave this claim behind: its request was perhaps sent."""
        if self._held:
            self._held = False
            _let_go(self._chain[-1], self._owner)

    def settle(self) -> None:
        """Remove the whole chain: the answer is stored.

        The first goes first: without it the others mean nothing.
        """
        with self:
            for path in self._chain:
                if path != self._chain[-1] or _is_own(path, self._token):
                    path.unlink(missing_ok=True)

    def lose(self, count: int) -> None:
        """Leave this claim behind for requests that were sent and that nothing finds again, however many there were."""
        path = self._chain[-1]
        if (count > 1 or self._owner.remembers) and _is_own(path, self._token):
            told = json.loads(path.read_bytes())
            try:
                write_bytes(path, canonical_json({**told, "lost": count, "remembers": False}).encode())
            except OSError as error:
                _LOG.warning("%s: stands for %d lost requests and tells one: %s", path, count, error.strerror)

    def withdraw(self) -> None:
        """Remove this claim alone: nothing was paid for it. Lost ones before it stay to be counted."""
        with self:
            if _is_own(self._chain[-1], self._token):
                self._chain[-1].unlink(missing_ok=True)


def take(
    root: Path,
    stored: Callable[[], _Answer | None],
    lifetime: float = LIFETIME,
    pause: Callable[[float], None] = time.sleep,
    *,
    remembers: bool = False,
) -> Claim | _Answer:
    """Claim a request, or wait for the answer of whoever has claimed it.

    Args:
        root: The path of the first claim; its folder exists.
        stored: Looks for the answer.
        lifetime: Seconds after which the claim ends even if its owner seems alive.
        pause: Waits between two looks; it may raise to give up.
        remembers: Whether the way of asking finds again what it sent before a crash. A lost claim that was taken for
            it counts as unknown to other ways alone.

    Returns:
        The claim, or the answer that somebody else has stored.

    Raises:
        OSError: If the claim cannot be written, as on a full disk; nothing was sent then.
    """
    seconds, told = _FIRST_PAUSE, False
    unreadable: dict[str, float] = {}
    while True:
        chain = _read_chain(root)
        if not chain or _is_lost(chain[-1], unreadable):
            claim = _succeed(root, chain, lifetime, remembers)
            if claim is not None:
                with ExitStack() as undo:
                    undo.callback(claim.withdraw)
                    answer = stored()  # only now: an answer is stored before its claim is removed
                    undo.pop_all()
                if answer is None:
                    return claim
                claim.settle()
                return answer
        else:
            _look_anew(root.parent)
        answer = stored()
        if answer is not None:
            return answer
        if not told and seconds >= _LONGEST_PAUSE:
            told = True
            _LOG.info("waiting for an answer that another process asks for: %s", chain[-1].path if chain else root)
        pause(seconds)
        seconds = min(2 * seconds, _LONGEST_PAUSE)


def _succeed(root: Path, chain: list[_Found], lifetime: float, remembers: bool) -> Claim | None:
    """Make the next claim of a chain; None if another process, or another thread, was first."""
    path = root.with_name(f"{root.name.removesuffix(SUFFIX)}.{chain[-1].token}{SUFFIX}") if chain else root
    with _LOCK:
        if str(path) in _HELD:
            return None
        _HELD.add(str(path))
    owner = None
    try:
        owner = _borrow(root.parent.parent, lifetime, remembers, {found.token for found in chain})
        made = owner.sign(path)
    except OSError:
        _let_go(path, owner)
        raise
    if not made:
        _let_go(path, owner)
        return None
    unknown = sum(found.lost for found in chain if not (found.remembers and remembers))
    claim = Claim([*(found.path for found in chain), path], owner, unknown)
    if not chain:
        return claim
    with ExitStack() as undo:
        undo.callback(claim.withdraw)
        # A slow process may succeed a claim whose chain was settled meanwhile; it stands in no chain then.
        now = _read_chain(root)
        if not now or now[-1].token != owner.token:
            return None
        undo.pop_all()
    return claim


class _Owner:
    """A file that says who this process is, and that its claims are links to.

    Claims share it, since a file system may take a millisecond to make a file where many were deleted just before.

    Attributes:
        token: Its name.
        ends: When its claims end, by the clock on the wall, which another process reads.
        count: How many claims may be links to it; it is deleted with the last.
        remembers: See `take`.
    """

    def __init__(self, folder: Path, lifetime: float, remembers: bool) -> None:
        self.token = secrets.token_hex(8)
        self.count = 0
        self.remembers = remembers
        self.key = os.getpid(), folder, lifetime, remembers  # a fork is another owner
        now = time.time()
        self.ends = now + lifetime + _SHARED
        told = {"token": self.token, "owner": describe(os.getpid()), "started": now, "expires": self.ends}
        self._content = canonical_json({**told, "remembers": remembers}).encode()
        self._file = folder / f".claim.{self.token}{DRAFT}"
        write_new(self._file, self._content)

    def sign(self, path: Path) -> bool:
        """Make a claim that has its content from the start; False if there is one."""
        try:
            path.hardlink_to(self._file)
        except FileExistsError:
            # The answer of an NFS server that made the link may be lost, and the second try finds it.
            if not _is_same(path, self._file):
                return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                write_new(path, self._content)
            except FileExistsError:
                return False
        try:
            sync_folder(path.parent)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return True

    def delete(self) -> None:
        """Remove the file; claims that are links to it stay."""
        self._file.unlink(missing_ok=True)


def _borrow(folder: Path, lifetime: float, remembers: bool, taken: set[str]) -> _Owner:
    """Return an owner for one more claim, whose name is none of those in its chain."""
    with _LOCK:
        key = os.getpid(), folder, lifetime, remembers
        owner = _OWNERS.get(key)
        if owner is None or owner.token in taken or owner.ends < time.time() + lifetime or owner.count > _MOST:
            owner = _OWNERS[key] = _Owner(folder, lifetime, remembers)
        owner.count += 1
        return owner


def _let_go(path: Path, owner: _Owner | None) -> None:
    with _LOCK:
        _HELD.discard(str(path))
        if owner is None or owner.key[0] != os.getpid():
            return
        owner.count -= 1
        if owner.count == 0:
            if _OWNERS.get(owner.key) is owner:
                del _OWNERS[owner.key]
            owner.delete()


def _forget_all() -> None:
    """Hold nothing in a process that was forked: its parent does."""
    global _LOCK  # noqa: PLW0603 - another thread of the parent may hold it
    _LOCK = threading.Lock()
    _HELD.clear()
    _OWNERS.clear()


os.register_at_fork(after_in_child=_forget_all)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return False


def _read_chain(root: Path) -> list[_Found]:
    """Read a claim and its successors, the one in force last."""
    chain: list[_Found] = []
    path = root
    while found := _read(path):
        chain.append(found)
        path = root.with_name(f"{root.name.removesuffix(SUFFIX)}.{found.token}{SUFFIX}")
    return chain


def _read(path: Path) -> _Found | None:
    try:
        content, state = read_whole(path)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESTALE}:  # ESTALE: removed on the server of NFS meanwhile
            return None
        raise
    try:
        told = json.loads(content)
        token, owner = str(told["token"]), {**told["owner"], "expires": float(told["expires"])}
        lost, remembers = max(1, int(told.get("lost", 1))), told.get("remembers") is True
    except (ValueError, KeyError, TypeError, OverflowError):
        token, owner, lost, remembers = "", None, 1, False
    if not _TOKEN.fullmatch(token):
        token, owner = digest([state.st_ino, state.st_mtime_ns])[:16], None  # it goes by the file itself
    return _Found(path, token, owner, lost, remembers)


def _is_lost(found: _Found, unreadable: dict[str, float]) -> bool:
    """Tell whether nobody will store an answer under a claim any more."""
    owner = found.owner
    if owner is None:
        # By a clock that no other machine and no correction of the time can change.
        return time.monotonic() - unreadable.setdefault(found.token, time.monotonic()) > _UNWRITTEN
    expires = float(str(owner["expires"]))
    if owner.get("place") != place():
        return time.time() > expires + _SKEW
    if owner.get("pid") == os.getpid() and owner.get("born") == describe(os.getpid())["born"]:
        return str(found.path) not in _HELD
    return time.time() > expires or not is_alive(owner.get("pid"), owner.get("born"))


def _is_own(path: Path, token: str) -> bool:
    found = _read(path)
    return found is not None and found.token == token


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _look_anew(folder: Path) -> None:
    """Let NFS ask its server again: opening a folder does, where looking for a name may be answered from memory."""
    os.close(os.open(folder, os.O_RDONLY))
