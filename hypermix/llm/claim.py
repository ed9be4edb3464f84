"""The right to send one request: an exclusive file, so that two processes never pay for the same answer.

A claim is a draft (O_CREAT | O_EXCL, on the disk before anything is sent) that is linked to its name: of many processes
one alone wins, on NFS too, and no one reads a part. Where there are no links, O_EXCL decides on the name itself.
It is never taken away from its owner: whoever finds it lost makes its *successor*, a file named after the lost claim's
token, in the same way. The last of this chain is in force; those before it are requests that were perhaps paid and
whose answers are lost.

Who is alive: a process of the same machine and process-id namespace is looked up by its id and its start time, since
ids are given anew. Of any other place only the clock can tell, so its claim holds until it expires, and some minutes
more, by which clocks may differ. A claim that holds too long costs time; one that ends too early would cost money.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hypermix.files import write_bytes
from hypermix.hashing import canonical_json, digest

SUFFIX = ".started"
LIFETIME = 2100.0
"""Seconds after which a claim ends: longer than the SDK's three tries of ten minutes."""

_SKEW = 300.0
"""Seconds by which the clocks of two machines may differ."""

_UNWRITTEN = 5.0
"""Seconds in which an owner writes its name into the file that it has made, where there are no links."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_MAX_PID = 1 << 31
DRAFT = ".tmp"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 1.0
_TOKEN = re.compile(r"[0-9a-f]{16}")
_LOG = logging.getLogger(__name__)
_HELD: set[str] = set()
"""Tokens of the claims that this process holds: one that it has left behind is as lost as that of a dead process."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class _Found:
    """A claim file as it was read; `owner` is None if it does not say, `lost` is how many requests it stands for."""

    path: Path
    token: str
    owner: dict[str, object] | None
    lost: int = 1


class Claim:
    """A claim that this process holds; a context manager.

    Unless it was settled or withdrawn, its file stays behind at the end, and whoever takes over counts it as unknown.

    Attributes:
        unknown: How many requests were lost under the claims before it.
    """

    def __init__(self, chain: list[Path], token: str, unknown: int) -> None:
        self._chain = chain
        self._token = token
        self.unknown = unknown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _HELD.discard(self._token)

    def settle(self) -> None:
        """Remove the whole chain: the answer is stored.

        The first goes first: without it the others mean nothing.
        """
        for path in self._chain:
            if path != self._chain[-1] or _is_own(path, self._token):
                path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Count no request before this one as lost: whoever answers found them again."""
        self.unknown = 0

    def lose(self, count: int) -> None:
        """Leave this claim behind for requests that were sent and not answered, however many there were."""
        path = self._chain[-1]
        if count > 1 and _is_own(path, self._token):
            told = json.loads(path.read_bytes())
            try:
                write_bytes(path, canonical_json({**told, "lost": count}).encode())
            except OSError as error:
                _LOG.warning("%s: stands for %d lost requests and tells one: %s", path, count, error.strerror)

    def withdraw(self) -> None:
        """Remove this claim alone: nothing was paid for it. Lost ones before it stay to be counted."""
        if _is_own(self._chain[-1], self._token):
            self._chain[-1].unlink(missing_ok=True)


def take(
    root: Path,
    stored: Callable[[], _Answer | None],
    lifetime: float = LIFETIME,
    pause: Callable[[float], None] = time.sleep,
) -> Claim | _Answer:
    """Claim a request, or wait for the answer of whoever has claimed it.

    Args:
        root: The path of the first claim; its folder exists.
        stored: Looks for the answer.
        lifetime: Seconds after which the claim ends even if its owner seems alive.
        pause: Waits between two looks; it may raise to give up.

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
            claim = _succeed(root, chain, lifetime)
            if claim is not None:
                answer = stored()  # only now: an answer is stored before its claim is removed
                if answer is None:
                    return claim
                with claim:
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


def _succeed(root: Path, chain: list[_Found], lifetime: float) -> Claim | None:
    """Make the next claim of a chain; None if another process was first."""
    path = root.with_name(f"{root.name.removesuffix(SUFFIX)}.{chain[-1].token}{SUFFIX}") if chain else root
    token = secrets.token_hex(8)
    _HELD.add(token)
    try:
        if not _create(path, token, lifetime):
            _HELD.discard(token)
            return None
    except OSError:
        _HELD.discard(token)
        raise
    claim = Claim([*(found.path for found in chain), path], token, sum(found.lost for found in chain))
    # A slow process may succeed a claim whose chain was settled meanwhile; it stands in no chain then.
    now = _read_chain(root)
    if not now or now[-1].token != token:
        claim.withdraw()
        _HELD.discard(token)
        return None
    return claim


def _create(path: Path, token: str, lifetime: float) -> bool:
    """Make a claim that has its content from the start; False if there is one."""
    now = time.time()
    owner = {"host": socket.gethostname(), "place": place(), "pid": os.getpid(), "born": _born(os.getpid())}
    content = canonical_json({"token": token, "owner": owner, "started": now, "expires": now + lifetime}).encode()
    draft = path.with_name(f".claim.{token}{DRAFT}")
    try:
        _write_new(draft, content)
        made = _link(draft, path, content)
    finally:
        draft.unlink(missing_ok=True)
    if made:
        sync_folder(path.parent)
    return made


def _link(draft: Path, path: Path, content: bytes) -> bool:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        # The answer of an NFS server that made the link may be lost, and the second try finds it.
        return draft.stat().st_nlink > 1
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            _write_new(path, content)
        except FileExistsError:
            return False
    return True


def _write_new(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as stream:
        try:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError:
            path.unlink(missing_ok=True)  # nothing was sent under it
            raise


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
        content, state = path.read_bytes(), path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESTALE}:  # ESTALE: removed on the server of NFS meanwhile
            return None
        raise
    try:
        told = json.loads(content)
        token, owner = str(told["token"]), {**told["owner"], "expires": float(told["expires"])}
        lost = max(1, int(told.get("lost", 1)))
    except (ValueError, KeyError, TypeError, OverflowError):
        token, owner, lost = "", None, 1
    if not _TOKEN.fullmatch(token):
        token, owner = digest([state.st_ino, state.st_mtime_ns])[:16], None  # it goes by the file itself
    return _Found(path, token, owner, lost)


def _is_lost(found: _Found, unreadable: dict[str, float]) -> bool:
    """Tell whether nobody will store an answer under a claim any more."""
    owner = found.owner
    if owner is None:
        # By a clock that no other machine and no correction of the time can change.
        return time.monotonic() - unreadable.setdefault(found.token, time.monotonic()) > _UNWRITTEN
    expires = float(str(owner["expires"]))
    if owner.get("place") != place():
        return time.time() > expires + _SKEW
    if owner.get("pid") == os.getpid() and owner.get("born") == _born(os.getpid()):
        return found.token not in _HELD
    return time.time() > expires or not _is_alive(owner.get("pid"), owner.get("born"))


def _is_own(path: Path, token: str) -> bool:
    found = _read(path)
    return found is not None and found.token == token


def place() -> str:
    """Name where process ids mean the same: a machine since it started, and a namespace of process ids.

    Containers may share the name of their host and have ids of their own.
    """
    names = [socket.gethostname()]
    try:
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        names.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - it points to no path
    except OSError:
        names.append("no /proc")
    return " ".join(names)


def _is_alive(pid: object, born: object) -> bool:
    if not isinstance(pid, int) or not 0 < pid < _MAX_PID:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is somebody else's
    return _born(pid) in {None, born}


def _born(pid: int) -> str | None:
    """Tell when a process began, in the kernel's ticks; None where the system does not tell.

    An id that was given anew is then taken for the old process, and its claim holds until it expires.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "dead" if fields[0] in {"Z", "X"} else fields[19]  # a zombie sends nothing any more


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
