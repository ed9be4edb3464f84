"""What holds for all tests: their order, Ctrl-C, and no skips where everything must run."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A busy machine must not fail a test, and a failure must come back in the next run.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("steady")

# A shell starts what it runs in the background without Ctrl-C, and so would be all processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_ORDER = ("workflow", "browser", "integration", "unit", "architecture")
_TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, so that no process is left alone with one; within a folder the order stays."""
    items.sort(key=_position)


def _position(item: pytest.Item) -> int:
    folder = item.path.relative_to(_TESTS).parts[0] if item.path.is_relative_to(_TESTS) else ""
    return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    """Turn a skipped test into a failed one where HYPERMIX_NO_SKIPS is 1."""
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    """Turn a skipped module into a failed one where HYPERMIX_NO_SKIPS is 1."""
    return _no_skip((yield))


def _no_skip(report: Any) -> Any:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and os.environ.get("HYPERMIX_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped where HYPERMIX_NO_SKIPS=1 lets nothing be skipped: {report.longrepr}"
    return report
