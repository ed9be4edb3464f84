from __future__ import annotations

import os
import socket
import subprocess
import time

import pytest

from hypermix.llm.process import born, describe, is_alive, place


def test_this_process_is_alive_and_named() -> None:
    told = describe(os.getpid())
    assert told == {"host": socket.gethostname(), "place": place(), "pid": os.getpid(), "born": born(os.getpid())}
    assert is_alive(told["pid"], told["born"])


def test_place_is_the_same_each_time() -> None:
    assert place() == place()
    assert place().startswith(f"{socket.gethostname()} ")


def test_process_dies_as_a_zombie() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        began = born(process.pid)
        assert began is not None
        assert is_alive(process.pid, began)
        assert not is_alive(process.pid, f"{began}0")  # its id was given anew
        process.kill()
        until = time.monotonic() + 5
        while born(process.pid) == began and time.monotonic() < until:
            time.sleep(0.001)
        assert not is_alive(process.pid, began)
    assert born(process.pid) is None
    assert not is_alive(process.pid, began)


@pytest.mark.parametrize("pid", [None, "1", 1.0, 0, -1, 2**31, 2**80, [], {}])
def test_what_is_no_id_is_no_process(pid: object) -> None:
    assert not is_alive(pid, None)


@pytest.mark.parametrize("begun", [None, 1, [], {}, "", "1"])
def test_strange_start_is_another_process(begun: object) -> None:
    assert not is_alive(os.getpid(), begun)
