"""Small versions of benchmarks/simulations.py; docs/statistics.md has the large ones."""

from __future__ import annotations

import pytest

from benchmarks.simulations import (
    NOISES,
    Design,
    Overlap,
    coverage,
    error_rate,
    hierarchical_interval,
    order_rate,
    overlap_rates,
    percentile_interval,
    power,
    table,
)

N = 600
ERROR = 0.009
"""The standard error of a share of 5 % in so many studies."""

SYMMETRIC = [noise for noise in NOISES if noise != "skewed in one method alone"]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n_seeds", [5, 10])
def test_few_false_claims(noise: str, n_seeds: int) -> None:
    assert error_rate(Design(n_seeds, 2, noise), N) <= 0.05 + 3 * ERROR


@pytest.mark.parametrize("trials", [1, 3])
def test_few_false_claims_of_twenty_seeds(trials: int) -> None:
    assert error_rate(Design(20, trials), N) == pytest.approx(0.05, abs=3 * ERROR)


@pytest.mark.parametrize("noise", SYMMETRIC)
def test_interval_covers(noise: str) -> None:
    assert coverage(Design(10, 2, noise), N) == pytest.approx(0.95, abs=0.02 + 2 * ERROR)


def test_interval_covers_a_true_effect() -> None:
    assert coverage(Design(10, 2, "normal", effect=1.0), N) == pytest.approx(0.95, abs=3 * ERROR)


def test_hierarchical_bootstrap_covers_and_the_percentile_one_does_not() -> None:
    design = Design(10, 2)
    assert coverage(design, 300, hierarchical_interval) > 0.92
    assert coverage(design, N, percentile_interval) < coverage(design, N) - 0.02


@pytest.mark.parametrize("effect", [0.8, 1.2, 1.7])
def test_power_is_that_predicted(effect: float) -> None:
    _, predicted, found = power(effect, N)
    assert predicted >= 0.8
    assert found == pytest.approx(predicted, abs=0.05)


@pytest.mark.parametrize("shared", [0.5, 1.0])
def test_only_the_corrected_test_holds_under_overlap(shared: float) -> None:
    found = overlap_rates(Overlap(10, 500, 100, shared), N)
    assert found["sign flip"] > 0.05 + 3 * ERROR
    assert found["corrected"] <= 0.05 + 3 * ERROR
    assert found["corrected interval"] >= 0.95 - 3 * ERROR


def test_order_claims_less_with_the_stricter_bound() -> None:
    assert order_rate(Design(10), 100, 0.2) <= order_rate(Design(10), 100, 0.5)


def test_tables_are_markdown() -> None:
    assert table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
