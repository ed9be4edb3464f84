"""Batches that do not fit into memory: computed in parts, with the same result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import torch

from hypermix.errors import TrainError

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Room:
    """How a batch is cut, so that each part fits into memory: not at all, until one does not.

    Attributes:
        parts: Into how many parts each batch is cut; it doubles when memory runs out, and never shrinks again.
    """

    def __init__(self) -> None:
        self.parts = 1

    def run(
        self,
        rows: Sequence[int],
        compute: Callable[[list[int]], T],
        undo: Callable[[], object] | None = None,
    ) -> list[T]:
        """Compute a batch, in as many parts as it takes.

        Args:
            rows: The rows of the batch.
            compute: What is done with a part of them.
            undo: Takes back what parts have done before one did not fit; then all of them are computed anew.

        Returns:
            What the parts gave, in the order of the rows.

        Raises:
            TrainError: If a single row does not fit.
        """
        while True:
            try:
                return [compute(part) for part in self.cut(rows)]
            except torch.OutOfMemoryError:
                if self.parts >= len(rows):
                    raise TrainError(
                        "memory is too small for a single row; lower the classifier's max_length, take a smaller "
                        "model, or set device: cpu"
                    ) from None
            # Behind the handler: the error held on to the tensors of the part that did not fit.
            if undo is not None:
                undo()
            self._halve()

    def cut(self, rows: Sequence[int]) -> list[list[int]]:
        """Cut rows into parts of like size, each with at least one row."""
        count = min(self.parts, len(rows))
        edges = [len(rows) * part // count for part in range(count + 1)] if count else []
        return [list(rows[start:end]) for start, end in pairwise(edges)]

    def _halve(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.parts *= 2
        _LOG.warning("memory ran out: from here on each batch is computed in %d parts", self.parts)
