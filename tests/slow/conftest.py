"""The language model and the encoder of slow tests are those of the workflow's tests."""

from __future__ import annotations

from tests.workflow.conftest import bert, cache, gemma

__all__ = ["bert", "cache", "gemma"]
