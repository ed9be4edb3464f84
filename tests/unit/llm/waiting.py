"""Processes that wait for a word, so that several of them start at one time."""

from __future__ import annotations

import subprocess
import sys


def wait_to_start(code: str, *words: object) -> subprocess.Popen[str]:
    """Run code that says ``ready`` and then reads a line; return its process once it waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def start(process: subprocess.Popen[str]) -> None:
    """Give the word."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
