"""Runs of snakemake as forks of one process that has imported it: the same program without the time of its start.

Importing Snakemake takes two seconds of a processor, and importing torch for the jobs of a run five more; a run of a
tiny experiment does little besides. So a process for each process of pytest imports Snakemake and starts the keepers
that the jobs of a run are forks of (`hypermix.steps.warm`). Each run is a fork with its own folder, environment and
arguments; its jobs are programs of their own. A run with a variable that Python reads is started as usual.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypermix.steps import warm

IMPORTED = (
    "snakemake.cli",
    "hypermix.config.registry",
    "hypermix.config.experiment",
    "hypermix.config.load",
    "hypermix.names",
    "hypermix.steps.artefacts",
    "hypermix.steps.locks",
)
KEPT = ("augment", "few", "quality", "train", "evaluate")
"""Stages whose jobs are forks of a keeper, as `workflow/rules/common.smk` names them."""
TOKEN_BYTES = 16
MESSAGE_BYTES = 1 << 20
DECIDES_IMPORTS = "PYTHON"
"""How variables begin that Python itself reads, and so before a fork."""


@dataclass(frozen=True)
class Forks:
    """The process that runs are forks of.

    Attributes:
        process: It ends when the socket closes.
        connection: Where runs are asked for.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket

    def run(self, arguments: Sequence[str], folder: Path, more: Mapping[str, str], seconds: float) -> tuple[int, str]:
        """Run snakemake and return its exit status and all that it printed.

        Args:
            arguments: Of snakemake.
            folder: The working folder.
            more: Variables beside those of this process; runs with the same ones share keepers.
            seconds: How long it may take.

        Raises:
            TimeoutError: If it takes longer.
        """
        # It names the test, and keepers serve jobs of an environment that is theirs to the letter.
        own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        request = {"arguments": arguments, "folder": str(folder), "environment": {**own, **more}}
        with tempfile.TemporaryFile() as output:
            self.connection.settimeout(seconds)
            socket.send_fds(self.connection, [json.dumps(request).encode()], [output.fileno()])
            told = self.connection.recv(MESSAGE_BYTES)
            output.seek(0)
            printed = output.read().decode(errors="replace")
        if not told:
            raise RuntimeError(f"the process that runs are forks of has ended: {printed}")
        return int(told), printed

    def close(self) -> None:
        """End it."""
        self.connection.close()
        self.process.wait(timeout=60)


def can_fork(environment: Mapping[str, str]) -> bool:
    """Tell whether a run with these variables would import what a fork has."""
    return not any(name.startswith(DECIDES_IMPORTS) for name in environment)


@cache
def forks() -> Forks:
    """Start the process; it ends with this one."""
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other:
        number = other.fileno()
        process = subprocess.Popen([sys.executable, "-m", "tests.forked", str(number)], pass_fds=[number])
    found = Forks(process, own)
    atexit.register(found.close)
    return found


def _serve(connection: socket.socket) -> list[str]:
    """Fork for each request until the other end is closed; each environment has its keepers.

    Returns:
        In a fork, its arguments.

    Raises:
        SystemExit: At the end.
    """
    tokens: dict[str, str] = {}
    gc.collect()
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 1)
        if not message:
            raise SystemExit
        request = json.loads(message)
        named = json.dumps(request["environment"], sort_keys=True)
        if named not in tokens:
            tokens[named] = secrets.token_hex(TOKEN_BYTES)
            warm.start(tokens[named], [f"hypermix.steps.{stage}" for stage in KEPT])
        process = os.fork()
        if process == 0:
            connection.close()
            return _become(request, streams[0], tokens[named])
        os.close(streams[0])
        _, status = os.waitpid(process, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: Mapping[str, object], output: int, token: str) -> list[str]:
    """Take on the folder, environment, output and arguments of a run."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    folder, environment, arguments = request["folder"], request["environment"], request["arguments"]
    assert isinstance(folder, str)
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = ["snakemake", *arguments]
    # The run finds that keepers of this name are there, and its jobs ask them.
    drawn = secrets.token_hex
    secrets.token_hex = lambda nbytes=None: token if nbytes == TOKEN_BYTES else drawn(nbytes)
    return list(arguments)


def main() -> None:
    """Import what runs share, and serve."""
    for name in IMPORTED:
        importlib.import_module(name)
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    importlib.import_module("snakemake.cli").main(arguments)


if __name__ == "__main__":
    main()
