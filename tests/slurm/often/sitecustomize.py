"""Asks a cluster of its jobs once a second: the pauses of the executors, made for jobs of hours, fill a test.

Python imports this where its folder is on the path; only the pause is changed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

SECONDS = 1.0

with suppress(ImportError):
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    async def _pause(_: RemoteExecutor) -> None:
        await asyncio.sleep(SECONDS)

    RemoteExecutor.sleep = _pause
