from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from hypermix.steps.progress import show


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setenv("TERM", "xterm-256color")
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return what a log prints on the terminal."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_shows_steps_loss_and_accuracy(terminal: Console) -> None:
    with show(40, alone=True, console=terminal) as bar:
        assert bar is not None
        bar.step(10, 0.51239)
        bar.tell("validation accuracy 0.812")
        bar.step(11, 0.5)
    assert "11/40" in text(terminal)
    assert "loss 0.500" in text(terminal)
    assert "validation accuracy 0.812" in text(terminal)


def test_a_bar_without_an_end_counts(terminal: Console) -> None:
    with show(None, alone=True, console=terminal) as bar:
        assert bar is not None
        bar.step(7, 0.1)
    assert "7/?" in text(terminal)


def test_a_bar_goes_when_it_is_done(terminal: Console) -> None:
    with show(4, alone=True, console=terminal) as bar:
        assert bar is not None
        bar.step(4, 0.1)
    assert text(terminal).endswith("\x1b[2K")  # its line is wiped


def test_a_terminal_that_cannot_move_back_gets_lines(terminal: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with show(4, alone=True, console=terminal) as bar:
        assert bar is None


@pytest.mark.parametrize("alone", [True, False])
def test_without_a_terminal_there_is_no_bar(alone: bool) -> None:
    console = Console(file=io.StringIO())
    with show(4, alone, console) as bar:
        assert bar is None
    assert text(console) == ""


def test_beside_other_jobs_there_is_no_bar(terminal: Console) -> None:
    with show(4, alone=False, console=terminal) as bar:
        assert bar is None
    assert text(terminal) == ""


def test_lines_that_the_bar_tells_stay_away_from_the_terminal(
    terminal: Console, lines: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("hypermix.test")
    with caplog.at_level(logging.INFO, "hypermix"), show(4, alone=True, console=terminal):
        logger.info("step 1", extra={"progress": True})
        logger.warning("3 rows are cut")
    logger.warning("step 2", extra={"progress": True})
    assert lines.getvalue() == "3 rows are cut\nstep 2\n"
    assert caplog.messages[:2] == ["step 1", "3 rows are cut"]


def test_lines_come_back_after_an_error(terminal: Console, lines: io.StringIO) -> None:
    with pytest.raises(ValueError, match="wrong"), show(4, alone=True, console=terminal):
        raise ValueError("wrong")
    logging.getLogger("hypermix.test").warning("step", extra={"progress": True})
    assert lines.getvalue() == "step\n"
