"""The edge of a job: its log, and how its errors reach the user."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypermix.errors import HypermixError
from hypermix.steps.joblog import FAILED, hold

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""


@contextmanager
def job(log: str, title: str) -> Iterator[logging.Logger]:
    """Run a job's body with a log file beside the terminal; see `hypermix.steps.joblog` for what the file tells.

    A `HypermixError` is the user's to mend: its message ends the job without a traceback. Anything else is ours: the
    traceback goes into the log.

    Args:
        log: The rule's log file.
        title: What the job is called on the terminal, where several jobs write at once.

    Yields:
        A logger; its messages go to the terminal and the log.

    Raises:
        SystemExit: With status 1 after an error, 130 after Ctrl-C.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(log, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    to_terminal = logging.StreamHandler(sys.stderr)
    # Snakemake prints the log of a failed job, and so the error; here it would stand twice.
    to_terminal.addFilter(lambda record: record.levelno < logging.ERROR)
    to_terminal.setFormatter(logging.Formatter(f"{title}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[to_file, to_terminal], force=True)
    logging.captureWarnings(True)
    logger = logging.getLogger("hypermix")
    logger.setLevel(logging.INFO)
    if to_file.stream is not None:
        hold(to_file.stream)
    try:
        yield logger
    except KeyboardInterrupt:
        logger.info("interrupted; run again to go on")
        raise SystemExit(INTERRUPTED) from None
    except HypermixError as error:
        logger.error(FAILED + "%s", error)
        raise SystemExit(1) from None
    except Exception:
        logger.exception(FAILED + "this is a mistake in HyperMix, not in your data; please report it with this log")
        raise SystemExit(1) from None
