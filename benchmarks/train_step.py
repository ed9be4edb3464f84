"""Time the parts of one training step with one thread: forward, backward, and AdamW in separate passes or fused.

    python benchmarks/train_step.py [--steps 20]

Rows are made up, 8 a step, 24 tokens each, as in the default experiment. Prints a Markdown table for
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from hypermix.classify.encode import Encoded, pad_rows
from hypermix.classify.loss import soft_cross_entropy
from hypermix.classify.model import load_classifier, locate_model

ROWS, TOKENS, WARM_UP = 8, 24, 2


def time_steps(fused: bool, steps: int) -> list[float]:
    """Return the mean milliseconds of forward, backward and optimizer."""
    network, _ = load_classifier(locate_model("package:minilm-l6"), 2, 0)
    generator = np.random.default_rng(0)
    tokens = generator.integers(1000, 20000, (ROWS, TOKENS)).tolist()
    rows = Encoded(tokens, np.eye(2, dtype=np.float32)[generator.integers(0, 2, ROWS)], 0, 0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=0.0, fused=fused)
    network.train()
    spent = np.zeros(3)
    for step in range(WARM_UP + steps):
        marks = [time.perf_counter()]
        loss = soft_cross_entropy(network(**pad_rows(rows, range(ROWS))).logits, torch.from_numpy(rows.targets))
        marks.append(time.perf_counter())
        optimizer.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        if step >= WARM_UP:
            spent += np.diff(marks)
    return [float(seconds) for seconds in 1000 * spent / steps]


def main() -> None:
    """Print a row for each form of the optimizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    print("| AdamW | forward, ms | backward, ms | optimizer, ms |")
    print("| --- | ---: | ---: | ---: |")
    for fused in (False, True):
        forward, backward, update = time_steps(fused, parsed.steps)
        print(f"| {'fused' if fused else 'separate'} | {forward:.0f} | {backward:.0f} | {update:.0f} |")


if __name__ == "__main__":
    main()
