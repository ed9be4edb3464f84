"""The process that jobs are forks of: `python -m hypermix.steps.keeper MODULE LISTENER [CONNECTION]`.

It waits with nothing imported. At the first request it becomes, by `exec`, the interpreter of the job in the job's
environment, so that a child is what the job would have been; then it imports the stage and forks a child for each
request. It never computes and never starts a thread, since a fork would break both. The socket that a request came by
is the tie between job and child: when it closes the child is killed. When the keeper is killed, its children are; when
Snakemake ends, which holds the other end of its standard input, the keeper ends after its last child.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import hypermix
from hypermix.steps.warm import INTERRUPT, MESSAGE_BYTES, Request, Work, peer

IDLE_SECONDS = 300.0
"""After so long without a job the memory is given back, until the next one."""
_READ_SECONDS = 10.0
_SET_DEATH_SIGNAL = 1
_STREAMS = 2
_FOLDER = b"PWD"
"""The variable in which a shell tells the working folder, which a request names."""


@dataclass(frozen=True)
class _Child:
    """A job at work: its process, a handle of it, and the tie to the job's script."""

    process: int
    handle: int
    tie: socket.socket


class Keeper:
    """Forks a child for each request.

    Args:
        module: The stage that it has imported.
        listener: Where requests come in.
    """

    def __init__(self, module: str, listener: socket.socket) -> None:
        self._module = module
        self._listener = listener
        self._environment = read_environment("self")
        self._children: dict[int, _Child] = {}
        self._ties: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)

    def serve(self, first: socket.socket) -> Work | None:
        """Serve until Snakemake is gone.

        Args:
            first: A connection whose request is still to be read.

        Returns:
            In a child the work that it must do; None at the end, or when there was nothing to do for long.
        """
        work = self._receive(first)
        while work is None and self._selector.get_map():
            events = self._selector.select(IDLE_SECONDS)
            if not events and not self._children:
                return None
            for key, _ in events:
                if work := self._handle(key):
                    break
        return work

    def _handle(self, key: selectors.SelectorKey) -> Work | None:
        """Handle what one of the sockets, processes and pipes has to tell."""
        if key.fileobj is sys.stdin:
            # Snakemake is gone. Its jobs may still be there.
            self._selector.unregister(sys.stdin)
            self._selector.unregister(self._listener)
            self._listener.close()
        elif key.fileobj is self._listener:
            with suppress(OSError):
                return self._receive(self._listener.accept()[0])
        elif key.fd in self._ties:
            self._obey(self._ties[key.fd])
        elif key.fd in self._children:
            self._bury(self._children[key.fd])
        return None

    def _receive(self, connection: socket.socket) -> Work | None:
        """Read a request and fork; a connection that is closed without a word tells that it will not be done."""
        streams: list[int] = []
        try:
            process, user = peer(connection)
            if user != os.getuid():
                raise PermissionError(user)
            connection.settimeout(_READ_SECONDS)
            message, streams, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, _STREAMS)
            request = Request.decode(message)
            if len(streams) == _STREAMS and self._suits(request, process):
                return self._fork(request, connection, streams)
            connection.close()
        except (OSError, ValueError, TypeError, KeyError):
            connection.close()
        finally:
            for stream in streams:
                os.close(stream)
        return None

    def _suits(self, request: Request, process: int) -> bool:
        """Tell whether a child here would be what the process that asks is: same program, same environment."""
        return (
            (request.work.module, request.executable) == (self._module, sys.executable)
            and request.library == str(hypermix.__file__)
            and {**read_environment(process), _FOLDER: b""} == {**self._environment, _FOLDER: b""}
        )

    def _fork(self, request: Request, connection: socket.socket, streams: list[int]) -> Work | None:
        own = os.getpid()
        process = os.fork()
        if process == 0:
            try:
                _tie_to_parent(own)
                os.setpgid(0, 0)
                self._let_go(connection)
                _take_streams(streams)
                os.chdir(request.folder)
                os.putenv(_FOLDER, request.folder)  # for programs that it starts; nothing here reads it
            except OSError:
                traceback.print_exc()
                os._exit(1)  # there must not be two keepers
            return request.work
        # Both sides: whoever comes first, no signal goes to the wrong group.
        with suppress(OSError):
            os.setpgid(process, process)
        child = _Child(process, _watch(process), connection)
        self._children[child.handle] = self._ties[connection.fileno()] = child
        self._selector.register(child.handle, selectors.EVENT_READ)
        self._selector.register(connection, selectors.EVENT_READ)
        _tell(connection, process)
        return None

    def _let_go(self, connection: socket.socket) -> None:
        """Close in a child what is the keeper's: a tie that others hold too would never be seen to close."""
        for child in self._children.values():
            os.close(child.handle)
        for child in self._ties.values():
            child.tie.close()
        connection.close()
        self._listener.close()
        self._selector.close()

    def _obey(self, child: _Child) -> None:
        """Do what a job's script wants of its child."""
        try:
            told = child.tie.recv(MESSAGE_BYTES)
        except OSError:
            told = b""
        is_alive = self._children.get(child.handle) is child
        if told == INTERRUPT and is_alive:
            _signal(child, signal.SIGINT)
        if not told:
            # Never before: what is unread when a socket closes makes the other end lose what it was told.
            self._selector.unregister(child.tie)
            del self._ties[child.tie.fileno()]
            child.tie.close()
            if is_alive:
                _signal(child, signal.SIGKILL)

    def _bury(self, child: _Child) -> None:
        """Tell a job's script how its child ended."""
        _, status = os.waitpid(child.process, 0)
        _tell(child.tie, os.waitstatus_to_exitcode(status))
        self._selector.unregister(child.handle)
        del self._children[child.handle]
        os.close(child.handle)


def _watch(process: int) -> int:
    try:
        return os.pidfd_open(process)
    except OSError:
        # Nobody could tell how it ends: the job does its work itself.
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # it is gone
        connection.send(json.dumps(number).encode())


def _signal(child: _Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.process, number)


def _tie_to_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)  # it had ended before


def _take_streams(streams: list[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate([nothing, *streams]):
        os.dup2(stream, number)
    os.close(nothing)


def read_environment(process: int | str) -> dict[bytes, bytes]:
    """Read the environment that a process was started in.

    Raises:
        OSError: If the process is another user's, or gone.
    """
    pairs = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return {name: value for name, _, value in (pair.partition(b"=") for pair in pairs if pair)}


def can_fork(handles: Path = Path("/proc/self/fd")) -> bool:
    """Tell whether a child of this process could compute: no thread of Python runs, and no GPU was touched.

    Args:
        handles: The folder of links to the files that are open.
    """
    if not hasattr(os, "pidfd_open"):
        return False  # nor could it be watched
    opened = [str(handle.readlink()) for handle in handles.iterdir() if handle.is_symlink()]
    touched = any(name.startswith("/dev/nvidia") for name in opened)
    return threading.active_count() == 1 and not touched


def main() -> None:
    """Wait, or keep what a stage imports; in a child, do the work."""
    module, listener, *connection = sys.argv[1:]
    own = socket.socket(fileno=int(listener))
    if not connection:
        _wait(module, own)
    elif work := _keep(module, own, socket.socket(fileno=int(connection[0]))):
        _do(work)


def _do(work: Work) -> NoReturn:
    """Do a child's work and end, without tidying up what it shares: that would copy all of it first."""
    status: object = 1
    try:
        work.do()
        status = 0
    except SystemExit as end:
        status = end.code
    finally:
        try:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            atexit._run_exitfuncs()
            sys.stdout.flush()
        finally:
            os._exit(status if isinstance(status, int) else 1)


def _wait(module: str, listener: socket.socket) -> None:
    """Wait with nothing imported until the first job asks or Snakemake is gone."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while all(key.fileobj is listener for key, _ in selector.select()):
        with suppress(OSError, ValueError, TypeError, KeyError), listener.accept()[0] as connection:
            connection.settimeout(_READ_SECONDS)
            process, user = peer(connection)
            if user == os.getuid():
                request = Request.decode(connection.recv(MESSAGE_BYTES, socket.MSG_PEEK))
                _become(request.executable, read_environment(process), module, listener, connection)


def _keep(module: str, listener: socket.socket, first: socket.socket) -> Work | None:
    """Import a stage, with what it names as worth sharing, and serve."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    stage = importlib.import_module(module)
    for more in getattr(stage, "SHARED", ()):
        importlib.import_module(more)
    if not can_fork():
        return None
    # What is imported is no garbage: children need not look at it, and its memory stays shared.
    gc.collect()
    gc.freeze()
    keeper = Keeper(module, listener)
    own = os.getpid()
    work = keeper.serve(first)
    if os.getpid() == own and listener.fileno() >= 0:
        _become(sys.executable, read_environment("self"), module, listener)
    return work


def _become(executable: str, environment: dict[bytes, bytes], module: str, *sockets: socket.socket) -> NoReturn:
    """Start anew with some sockets and nothing imported."""
    for kept in sockets:
        os.set_inheritable(kept.fileno(), True)
    numbers = [str(kept.fileno()) for kept in sockets]
    command = [executable, "-P", "-m", "hypermix.steps.keeper", module, *numbers]
    os.execve(executable, command, environment)  # noqa: S606 - it asked, and it is the same user


if __name__ == "__main__":
    main()
