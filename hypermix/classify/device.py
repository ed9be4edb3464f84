"""Where a classifier computes, in which numbers, and how much memory that takes."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

import torch

from hypermix.classify.encode import TOKENS_A_BATCH
from hypermix.errors import TrainError

_MIB = 2**20
_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of getrusage's largest resident size."""

_TOKENS_ON_GPU = 65536


@dataclass(frozen=True)
class Place:
    """Where a classifier computes.

    Attributes:
        device: The device.
        precision: The numbers of matrix products; weights, sums and losses are float32 always.
    """

    device: torch.device
    precision: torch.dtype

    @property
    def tokens_a_batch(self) -> int:
        """Tokens of an evaluation batch, padding counted: enough to keep the device busy."""
        return _TOKENS_ON_GPU if self.device.type == "cuda" else TOKENS_A_BATCH

    def describe(self) -> dict[str, str]:
        """Return what the provenance says about it."""
        return {"device": self.device.type, "precision": str(self.precision).removeprefix("torch.")}


CPU = Place(torch.device("cpu"), torch.float32)
"""Where everything can be computed."""


def choose_place(device: str, precision: str) -> Place:
    """Choose where to compute.

    Args:
        device: `auto` takes a GPU if torch finds one; `cpu` or `cuda` name it.
        precision: `auto` takes bfloat16 on a GPU that computes with it, else float32; or one of both.

    Raises:
        TrainError: If a GPU is asked for and torch finds none.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        built = "torch finds none" if torch.backends.cuda.is_built() else "this build of torch has no CUDA"
        raise TrainError(
            f"device: cuda asks for a GPU, and {built}; set the classifier's device to auto or cpu, or see to driver "
            "and build of torch"
        )
    chosen = torch.device("cuda" if device != "cpu" and there else "cpu")
    if precision == "auto":
        half = chosen.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return Place(chosen, torch.bfloat16 if half else torch.float32)
    return Place(chosen, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def start_measuring(device: torch.device) -> None:
    """Forget the peak of what was computed before, where that can be done: on a GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_mb(device: torch.device) -> float:
    """Return the largest memory so far, in MiB: torch's on a GPU, else that of the process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS / _MIB
