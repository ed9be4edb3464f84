"""How many threads torch may use, and that their number changes no result."""

from __future__ import annotations

import os

import torch


def limit(threads: int) -> None:
    """Keep torch and the tokenizer to the threads that a job was granted; call it before torch computes anything.

    Args:
        threads: At least 1.
    """
    # MKL splits some products of few rows by the number of threads, unless it is told not to. It reads this once.
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    torch.set_num_threads(threads)
    # The tokenizer's own pool would take every core, and warns after a fork.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
