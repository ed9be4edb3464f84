"""How many threads torch may use."""

from __future__ import annotations

import os

import torch


def limit(threads: int) -> None:
    """Keep torch and the tokenizer to the threads that a job was granted.

    Args:
        threads: At least 1.
    """
    torch.set_num_threads(threads)
    # The tokenizer's own pool would take every core, and warns after a fork.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
