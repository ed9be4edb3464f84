"""Simulate studies whose truth is known, and count how often the statistics of the report are right.

    python benchmarks/simulations.py [--studies 4000] [--only size coverage power overlap order]

Prints the Markdown tables of docs/statistics.md. Each simulation has its own seed, so the tables come out again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hypermix.seeding import child_seed
from hypermix.stats.bootstrap import bootstrap_interval
from hypermix.stats.compare import paired_power, pairs_needed, sign_flip_p
from hypermix.stats.interval import mean_interval
from hypermix.stats.opinion import wilcoxon_p
from hypermix.stats.order import eps_min
from hypermix.stats.overlap import corrected_p, more_variance

ROWS = 400
"""Test rows: accuracies are rounded to them, so that ties come as they do in real studies."""

Values = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int, tuple[int, ...]], Values]
"""Draws the noise of the method with this place (0 or 1), in standard deviations of a trial."""


def normal(generator: np.random.Generator, _place: int, shape: tuple[int, ...]) -> Values:
    """Draw what is usually assumed."""
    return generator.normal(size=shape)


def unequal(generator: np.random.Generator, place: int, shape: tuple[int, ...]) -> Values:
    """Draw four times the spread for one of the methods."""
    return generator.normal(size=shape) * (4 if place else 1)


def skewed(generator: np.random.Generator, _place: int, shape: tuple[int, ...]) -> Values:
    """Draw exponential noise."""
    return 1 - generator.exponential(size=shape)


def lopsided(generator: np.random.Generator, place: int, shape: tuple[int, ...]) -> Values:
    """Draw exponential noise for one of the methods, normal noise of a third of its spread for the other."""
    return skewed(generator, place, shape) if place else normal(generator, place, shape) / 3


def heavy(generator: np.random.Generator, _place: int, shape: tuple[int, ...]) -> Values:
    """Draw t-distributed noise with 3 degrees of freedom."""
    return generator.standard_t(3, shape) / math.sqrt(3)


def failing(generator: np.random.Generator, place: int, shape: tuple[int, ...]) -> Values:
    """Draw normal noise, but let one training in ten fail."""
    return normal(generator, place, shape) - np.where(generator.random(shape) < 0.1, 5.0, 0.0)


NOISES: dict[str, Noise] = {
    "normal": normal,
    "one method varies 4 times as much": unequal,
    "skewed": skewed,
    "skewed in one method alone": lopsided,
    "heavy tails": heavy,
    "one training in ten fails": failing,
}


@dataclass(frozen=True)
class Design:
    """A study of two methods.

    Attributes:
        n_seeds: Data seeds.
        n_trials: Trials inside each.
        noise: A key of `NOISES`.
        effect: True mean difference, in standard deviations of a trial.
    """

    n_seeds: int
    n_trials: int = 2
    noise: str = "normal"
    effect: float = 0.0


def draw(design: Design, generator: np.random.Generator) -> tuple[Values, Values]:
    """Draw the accuracies of both methods, each (n_seeds, n_trials).

    A standard deviation of a trial is 2 points of accuracy; data seeds vary by 3 points together and each method by one
    more point of its own. A failed training of ten lowers the mean of both methods alike.
    """
    shape = (design.n_seeds, design.n_trials)
    common = 0.7 + 0.03 * generator.normal(size=(design.n_seeds, 1))
    found = []
    for place in (0, 1):
        noise = NOISES[design.noise]
        own = 0.01 * noise(generator, place, (design.n_seeds, 1)) + 0.02 * noise(generator, place, shape)
        found.append(np.round((common + own + 0.02 * design.effect * place) * ROWS) / ROWS)
    return found[1], found[0]


def studies(design: Design, n: int) -> Iterator[tuple[Values, Values]]:
    """Draw many studies, always the same ones."""
    slot = ("simulation", design.n_seeds, design.n_trials, design.noise, f"{design.effect:g}")
    generator = np.random.Generator(np.random.PCG64(child_seed(0, slot)))
    for _ in range(n):
        yield draw(design, generator)


def differences(study: tuple[Values, Values]) -> Values:
    """Return the difference of each data seed, without rounding."""
    found: Values = np.round(study[0].mean(axis=1) - study[1].mean(axis=1), 12)
    return found


def error_rate(design: Design, n: int, test: Callable[[Values], float] = sign_flip_p, alpha: float = 0.05) -> float:
    """Return the share of studies in which a test gives a p value of at most alpha."""
    return float(np.mean([test(differences(study)) <= alpha for study in studies(design, n)]))


def t_interval(study: tuple[Values, Values]) -> tuple[float, float]:
    """Return the interval of the table ``comparisons``."""
    found = mean_interval(differences(study))
    return found.low, found.high


def percentile_interval(study: tuple[Values, Values]) -> tuple[float, float]:
    """Return the plain percentile bootstrap interval over data seeds, which the report does not use."""
    values = differences(study)
    generator = np.random.Generator(np.random.PCG64(0))
    means = values[generator.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def hierarchical_interval(study: tuple[Values, Values]) -> tuple[float, float]:
    """Return the interval of the table ``opinions``."""
    return bootstrap_interval(study[0].tolist(), study[1].tolist())


def coverage(
    design: Design, n: int, interval: Callable[[tuple[Values, Values]], tuple[float, float]] = t_interval
) -> float:
    """Return the share of studies whose interval holds the true difference."""
    true = 0.02 * design.effect
    found = [interval(study) for study in studies(design, n)]
    return float(np.mean([low - 1e-12 <= true <= high + 1e-12 for low, high in found]))


def power(effect_size: float, n: int) -> tuple[int, float, float]:
    """Return the pairs that `pairs_needed` asks for, their predicted power, and the share of studies that find it."""
    pairs = pairs_needed(effect_size) or 0
    generator = np.random.Generator(np.random.PCG64(child_seed(0, ("power", f"{effect_size:g}"))))
    found = [sign_flip_p(generator.normal(effect_size, 1, pairs)) <= 0.05 for _ in range(n)]
    return pairs, paired_power(pairs, effect_size), float(np.mean(found))


@dataclass(frozen=True)
class Overlap:
    """A study whose data seeds draw their test sets from one pool.

    Attributes:
        n_seeds: Data seeds.
        pool: Rows of the pool.
        test: Rows of a test set.
        shared: Share of the rows' noise that is the same whatever the training was.
    """

    n_seeds: int
    pool: int
    test: int
    shared: float


def draw_overlapping(design: Overlap, generator: np.random.Generator) -> Values:
    """Draw the differences of two equal methods, one for each data seed.

    The pool is a sample of all texts, and each row of it favors one of the methods by chance: in part because of the
    text, whatever the training was, in part because of the training. Test sets are drawn without replacement.
    """
    rows = generator.normal(size=design.pool) * math.sqrt(design.shared)
    found = []
    for _ in range(design.n_seeds):
        chosen = generator.choice(design.pool, design.test, replace=False)
        luck = generator.normal(size=design.test) * math.sqrt(1 - design.shared)
        found.append((rows[chosen] + luck).mean())
    return np.array(found)


def overlap_rates(design: Overlap, n: int) -> dict[str, float]:
    """Return error rates of both tests and coverage of both intervals where the true difference is 0."""
    slot = ("overlap", design.n_seeds, design.pool, design.test, f"{design.shared:g}")
    generator = np.random.Generator(np.random.PCG64(child_seed(0, slot)))
    more = more_variance({"d": design.test / design.pool})["d"]
    found = [draw_overlapping(design, generator) for _ in range(n)]
    intervals = {name: [mean_interval(one, 0.95, extra) for one in found] for name, extra in (("t", 0.0), ("c", more))}
    covered = {name: np.mean([one.low <= 0 <= one.high for one in them]) for name, them in intervals.items()}
    return {
        "sign flip": float(np.mean([sign_flip_p(one) <= 0.05 for one in found])),
        "corrected": float(np.mean([corrected_p(one, more) <= 0.05 for one in found])),
        "t interval": float(covered["t"]),
        "corrected interval": float(covered["c"]),
    }


def order_rate(design: Design, n: int, bound: float) -> float:
    """Return the share of studies in which ``eps_min`` is below a bound."""
    found = [
        eps_min(study[0].mean(axis=1), study[1].mean(axis=1), place) for place, study in enumerate(studies(design, n))
    ]
    return float(np.mean([one < bound for one in found]))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Word a Markdown table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def share(value: float) -> str:
    """Word a share in percent."""
    return f"{100 * value:.1f}"


def size_table(n: int) -> str:
    """Error rates under no effect."""
    rows = []
    for noise in NOISES:
        for trials in (1, 3):
            rates = [
                share(error_rate(Design(seeds, trials, noise), n, test))
                for test in (sign_flip_p, wilcoxon_p)
                for seeds in (5, 10, 20)
            ]
            rows.append([noise, trials, *rates])
    return table(["noise", "trials", *(f"{t}, {s}" for t in ("sign-flip", "Wilcoxon") for s in (5, 10, 20))], rows)


def coverage_table(n: int) -> str:
    """Coverage of intervals of 95 %."""
    kinds = {
        "t": (t_interval, n),
        "bootstrap": (hierarchical_interval, n // 4),
        "percentile": (percentile_interval, n // 4),
    }
    rows = [
        [noise, seeds, *(share(coverage(Design(seeds, 2, noise), count, kind)) for kind, count in kinds.values())]
        for noise in NOISES
        for seeds in (3, 5, 10, 20)
    ]
    return table(["noise", "data seeds", *kinds], rows)


def power_table(n: int) -> str:
    """Power with the pairs that are asked for."""
    rows = []
    for effect in (0.5, 0.6, 0.8, 1.0, 1.2, 1.5):
        pairs, predicted, found = power(effect, n)
        rows.append([effect, pairs, share(predicted), share(found)])
    return table(["effect size", "pairs needed", "predicted, %", "found, %"], rows)


def overlap_table(n: int) -> str:
    """Tests and intervals where test sets overlap."""
    rows = []
    for seeds in (5, 10, 20):
        for test in (100, 200, 500):
            for shared in (0.5, 1.0):
                found = overlap_rates(Overlap(seeds, 1000, test, shared), n)
                rows.append([seeds, test / 1000, shared, *map(share, found.values())])
    names = ["sign-flip", "corrected t", "t interval", "corrected interval"]
    return table(["data seeds", "test share", "same for all trainings", *names], rows)


def order_table(n: int) -> str:
    """How often almost stochastic order claims what is not so."""
    rows = [
        [seeds, effect, *(share(order_rate(Design(seeds, 2, "normal", effect), n, bound)) for bound in (0.5, 0.2))]
        for seeds in (5, 10, 20)
        for effect in (0.0, 0.5, 1.0)
    ]
    return table(["data seeds", "true difference, SD of a trial", "below 0.5, %", "below 0.2, %"], rows)


TABLES: dict[str, tuple[Callable[[int], str], int]] = {
    "size": (size_table, 1),
    "coverage": (coverage_table, 1),
    "power": (power_table, 1),
    "overlap": (overlap_table, 1),
    "order": (order_table, 4),
}
"""Each table with what its studies are divided by, since some cost more."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--only", nargs="*", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args()
    for name in options.only:
        build, divisor = TABLES[name]
        n = options.studies // divisor
        error = 100 * math.sqrt(0.05 * 0.95 / n)
        print(f"\n## {name}\n\n{n} studies a cell; Monte Carlo standard error of 5 % or 95 %: {error:.1f} points.\n")
        print(build(n), flush=True)


if __name__ == "__main__":
    main()
