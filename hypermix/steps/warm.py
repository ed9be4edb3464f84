"""Jobs of one Snakemake run share what they import: each is a fork of a process that has it.

Importing torch and transformers takes five seconds of a processor, which is most of a short job. So a run of Snakemake
starts a keeper for each such stage (`hypermix.steps.keeper`), and the job's script asks it for a child that does the
work. The job stays a job: the same files, log, standard error and exit status, and whatever ends the script ends the
child. Wherever there is no keeper, such as in a job of a cluster, the script does the work itself, with equal results.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hypermix
from hypermix.steps.job import INTERRUPTED, job
from hypermix.steps.joblog import FAILED

MESSAGE_BYTES = 1 << 20
INTERRUPT = b"interrupt"
_PATH = "$path"
_BY_SIGNAL = 128
_KEEPERS: list[subprocess.Popen[bytes]] = []
"""Of this process; each lives until its standard input, which this process holds, is closed."""


@dataclass(frozen=True)
class Work:
    """What a job has to do.

    Attributes:
        module: The stage, by the name of its module; its function `run` does the work.
        log: The rule's log file.
        title: What the job is called on the terminal.
        arguments: What `run` is called with: values that JSON has, and paths.
    """

    module: str
    log: str
    title: str
    arguments: dict[str, Any]

    def do(self) -> None:
        """Do it in this process.

        Raises:
            SystemExit: See `hypermix.steps.job.job`.
        """
        with job(self.log, self.title):
            # A keeper holds Ctrl-C back until there is a log that can tell it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            importlib.import_module(self.module).run(**self.arguments)


@dataclass(frozen=True)
class Request:
    """Some work, and what a keeper must have in common with the process that asks.

    Attributes:
        work: The work.
        executable: The interpreter.
        library: Where the library lies.
        folder: The working folder.
    """

    work: Work
    executable: str
    library: str
    folder: str

    @classmethod
    def of(cls, work: Work) -> Request:
        """Make the request of this process."""
        return cls(work, sys.executable, str(hypermix.__file__), str(Path.cwd()))

    def encode(self) -> bytes:
        """Return it as one message."""
        return json.dumps(asdict(self), default=_name_path).encode()

    @classmethod
    def decode(cls, message: bytes) -> Request:
        """Read a message.

        Raises:
            ValueError: If it is no request.
            TypeError: If it is no request.
            KeyError: If it is no request.
        """
        fields = json.loads(message, object_hook=_read_path)
        return cls(**{**fields, "work": Work(**fields["work"])})


def run(module: str, token: str, log: str, title: str, **arguments: Any) -> None:
    """Do a job's work, in a child of the run's keeper if there is one.

    Args:
        module: The stage, by the name of its module.
        token: What the keepers of this run of Snakemake were started with.
        log: The rule's log file.
        title: What the job is called on the terminal.
        **arguments: Of the stage's function `run`: values that JSON has, and paths.

    Raises:
        SystemExit: With the status of the work, if it fails.
    """
    work = Work(module, log, title, arguments)
    try:
        status = _delegate(work, token)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    if status is None:
        work.do()
    elif status < 0:
        _tell_signal(work, signal.Signals(-status).name)
        raise SystemExit(_BY_SIGNAL - status)
    elif status:
        raise SystemExit(status)


def start(token: str, modules: list[str]) -> None:
    """Start a keeper for each stage, which imports nothing until it is asked and ends with this process.

    Args:
        token: Names the keepers; nobody else must know it.
        modules: The stages, by the names of their modules.
    """
    for module in modules:
        # A keeper only saves time: without one all goes on.
        with suppress(OSError), _socket() as listener:
            listener.bind(_address(token, module))
            listener.listen()
            _KEEPERS.append(_spawn(module, listener.fileno()))


def _spawn(module: str, listener: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this interpreter
        # Not the current folder: a file of the user may be called as a package is.
        [sys.executable, "-P", "-m", "hypermix.steps.keeper", module, str(listener)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[listener],
        # Ctrl-C reaches the job's script, which passes it on; here it would come twice.
        start_new_session=True,
    )


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end of a Unix socket, as the kernel knows them."""
    process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _address(token: str, module: str) -> str:
    # An abstract name: it is no file, so nothing is left behind and no path is too long.
    return f"\0hypermix-{token}-{module}"


def _delegate(work: Work, token: str) -> int | None:
    """Have a child do the work and return its exit status, negative after a signal; None if there is no keeper."""
    with suppress(OSError), _socket() as connection:
        connection.connect(_address(token, work.module))
        if peer(connection)[1] != os.getuid():
            return None
        socket.send_fds(connection, [Request.of(work).encode()], [1, 2])
        # Without a word the keeper ended or will not do it.
        if connection.recv(MESSAGE_BYTES):
            with _passing_on(connection):
                told = connection.recv(MESSAGE_BYTES)
            return int(json.loads(told)) if told else None
    return None


@contextmanager
def _passing_on(connection: socket.socket) -> Iterator[None]:
    """Pass Ctrl-C on to the child, which knows what to do, as often as it comes."""

    def pass_on(*_: object) -> None:
        with suppress(OSError):
            connection.send(INTERRUPT)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell_signal(work: Work, name: str) -> None:
    path = Path(work.log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(
            f"{FAILED}{work.title}: {name} ended the job's process; if memory was short, run fewer jobs at a time\n"
        )


def _name_path(value: object) -> dict[str, str]:
    if isinstance(value, Path):
        return {_PATH: str(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form; take a text, a number or a path")


def _read_path(fields: dict[str, Any]) -> Any:
    return Path(fields[_PATH]) if fields.keys() == {_PATH} else fields
