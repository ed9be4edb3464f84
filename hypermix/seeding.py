"""Where every random draw gets its generator.

Two kinds: the reference's own seeds and generators (a Mersenne Twister seeded with an integer), for what must equal the
reference bit for bit, and named children of a seed, for everything else. Only torch's dropout and heads draw
from global state, which is seeded right before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypermix.hashing import digest

MAX_SEED = 2**32 - 1


def spawn_seeds(master: int, count: int) -> list[int]:
    """Return the first seeds that the reference derives from a master seed.

    Args:
        master: Seed of the generator, as in ``random.seed(master)``.
        count: How many seeds.

    Returns:
        Successive ``randint(0, 2**32 - 1)`` draws; for 42: 2746317213, 1181241943, 958682846, ...
    """
    generator = random.Random(master)  # noqa: S311 - reproducible science, not secrets
    return [generator.randint(0, MAX_SEED) for _ in range(count)]


def child_seed(seed: int, path: Sequence[str | int], bits: int = 64) -> int:
    """Derive a seed for one draw from a seed and the draw's name.

    Args:
        seed: A data seed or a trial seed.
        path: What the draw is for, such as ``("gpt3mix", row, attempt)``.
        bits: Width of the result; 31 for servers that take a signed 32-bit seed.

    Returns:
        An integer in [0, 2**bits). Different paths give independent seeds.
    """
    return int(digest([seed, *path])[: bits // 4 + 1], 16) % (1 << bits)


def child_generator(seed: int, path: Sequence[str | int]) -> random.Random:
    """Return the generator of one draw; see `child_seed`."""
    return random.Random(child_seed(seed, path))  # noqa: S311 - reproducible science, not secrets
