from __future__ import annotations

import math
import random
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import BudgetError, LlmError
from hypermix.llm.ledger import Caps, Cost, Ledger, Spent
from tests.integration.llm.hammering import Worker, spend_often


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


# Adding up.


def test_nothing_is_spent_at_first(path: Path) -> None:
    assert Ledger(path, Caps()).spent() == Spent(0.0, 0, 0)


def test_reservation_counts_as_spent_at_once(path: Path) -> None:
    Ledger(path, Caps()).reserve(0.25, 700)
    assert Ledger(path, Caps()).spent() == Spent(0.25, 1, 700)


def test_settling_puts_the_price_in_the_place_of_the_most(path: Path) -> None:
    ledger = Ledger(path, Caps())
    first, _ = ledger.reserve(0.25, 700), ledger.reserve(0.5, 1000)
    ledger.settle(first, Cost(0.1, 300))
    assert ledger.spent() == Spent(0.6, 2, 1300)


def test_settling_above_the_reservation_counts(path: Path) -> None:
    ledger = Ledger(path, Caps(usd=0.3, tokens=800))
    ledger.settle(ledger.reserve(0.25, 700), Cost(0.4, 900))
    assert ledger.spent() == Spent(0.4, 1, 900)
    with pytest.raises(BudgetError):
        ledger.reserve(0.0, 0)


def test_release_gives_all_back(path: Path) -> None:
    ledger = Ledger(path, Caps(requests=1))
    ledger.release(ledger.reserve(0.25, 700))
    assert ledger.spent() == Spent(0.0, 0, 0)
    ledger.reserve(0.25, 700)


def test_closed_reservation_gives_nothing_back_again(path: Path) -> None:
    ledger = Ledger(path, Caps())
    ledger.reserve(1.0, 1000)
    reserved = ledger.reserve(0.25, 700)
    ledger.settle(reserved, Cost(0.2, 600))
    ledger.settle(reserved, Cost(0.0, 0))
    ledger.release(reserved)
    assert ledger.spent() == Spent(1.2, 2, 1600)


def test_dollars_do_not_drift(path: Path) -> None:
    ledger = Ledger(path, Caps(usd=1.0))
    for _ in range(100):
        ledger.reserve(0.01, 1)
    assert ledger.spent() == Spent(1.0, 100, 100)
    with pytest.raises(BudgetError):
        ledger.reserve(1e-9, 1)


def test_price_below_a_unit_is_rounded_up(path: Path) -> None:
    ledger = Ledger(path, Caps())
    ledger.reserve(1e-10, 1)
    assert ledger.spent().usd == pytest.approx(1e-9)


@given(st.floats(0, 1e6), st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 2e3)), max_size=12))
def test_what_is_open_and_settled_adds_up(
    tmp_path_factory: pytest.TempPathFactory, held: float, costs: list[tuple[float, float]]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "l", Caps())
    ledger.reserve(held, 5)
    for reserved in [(ledger.reserve(most, 9), Cost(actual, 3)) for most, actual in costs]:
        ledger.settle(*reserved)
    spent = ledger.spent()
    assert spent.usd == pytest.approx(held + sum(actual for _, actual in costs), abs=2e-8)
    assert (spent.requests, spent.tokens) == (1 + len(costs), 5 + 3 * len(costs))


@given(st.floats(), st.integers())
def test_no_claim_of_a_server_makes_the_account_negative(
    tmp_path_factory: pytest.TempPathFactory, usd: float, tokens: int
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "l", Caps(usd=2.0))
    ledger.reserve(1.0, 100)
    ledger.settle(ledger.reserve(1.0, 100), Cost(usd, tokens))
    spent = ledger.spent()
    assert spent.usd >= 1.0
    assert spent.tokens >= 100
    assert math.isfinite(spent.usd)


# Caps.


@pytest.mark.parametrize(
    ("caps", "most", "name", "told"),
    [
        (Caps(usd=1.0), (0.4, 10), "usd", ("$1.00", "$0.80", "$0.40")),
        (Caps(requests=2), (0.4, 10), "requests", ("2", "2", "1")),
        (Caps(tokens=2999), (0.4, 1000), "tokens", ("2999", "2000", "1000")),
    ],
)
def test_cap_is_not_passed(
    path: Path, caps: Caps, most: tuple[float, int], name: str, told: tuple[str, str, str]
) -> None:
    ledger = Ledger(path, caps)
    ledger.reserve(*most)
    ledger.reserve(*most)
    before = ledger.spent()
    with pytest.raises(BudgetError) as caught:
        ledger.reserve(*most)
    message = str(caught.value)
    assert message.startswith(f"budget.{name}: of {told[0]}, {told[1]} is spent")
    assert f"could cost {told[2]};" in message
    assert "answers so far are stored" in message
    assert f"raise budget.{name} in the config and run again" in message
    assert ledger.spent() == before


@pytest.mark.parametrize("caps", [Caps(usd=0.5), Caps(requests=1), Caps(tokens=10)])
def test_cap_can_be_used_up(path: Path, caps: Caps) -> None:
    Ledger(path, caps).reserve(0.5, 10)
    with pytest.raises(BudgetError):
        Ledger(path, caps).reserve(0.5, 10)


@pytest.mark.parametrize("caps", [Caps(usd=0.0), Caps(requests=0), Caps(tokens=0)])
def test_cap_of_nothing_lets_nothing_pass(path: Path, caps: Caps) -> None:
    with pytest.raises(BudgetError):
        Ledger(path, caps).reserve(0.01, 1)
    assert Ledger(path, caps).spent() == Spent()


def test_raised_cap_goes_on_from_what_was_spent(path: Path) -> None:
    Ledger(path, Caps(requests=1)).reserve(0.1, 1)
    more = Ledger(path, Caps(requests=2))
    more.reserve(0.1, 1)
    with pytest.raises(BudgetError):
        more.reserve(0.1, 1)


def test_spend_without_a_cap_counts_for_a_later_cap(path: Path) -> None:
    Ledger(path, Caps()).reserve(0.1, 1)
    with pytest.raises(BudgetError):
        Ledger(path, Caps(requests=1)).reserve(0.1, 1)


@pytest.mark.parametrize("usd", [math.inf, math.nan])
def test_price_that_is_no_number_passes_no_cap(path: Path, usd: float) -> None:
    with pytest.raises(BudgetError):
        Ledger(path, Caps(usd=1e6)).reserve(usd, 1)


def test_unpriced_requests_pass_a_cap_of_requests_alone(path: Path) -> None:
    ledger = Ledger(path, Caps(requests=3))
    for _ in range(3):
        ledger.reserve(0.0, 50)
    assert ledger.spent() == Spent(0.0, 3, 150)


# Files and processes.


def test_damaged_file_is_an_error_that_says_what_to_do(path: Path) -> None:
    path.write_text('{"usd": 0}')
    with pytest.raises(LlmError, match=f"{path}.*move it away") as caught:
        Ledger(path, Caps(usd=1.0)).reserve(0.1, 1)
    assert not isinstance(caught.value, BudgetError)
    assert path.read_text() == '{"usd": 0}'


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LlmError, match="cannot be kept"):
        Ledger(tmp_path / "file" / "ledger", Caps()).reserve(0.1, 1)
    with pytest.raises(LlmError, match="cannot be kept"):
        Ledger(tmp_path / "file" / "ledger", Caps()).spent()


def test_processes_stay_below_a_cap_and_lose_nothing(path: Path, processes: ForkServerContext) -> None:
    cap = 8.0
    running = [Worker(processes, spend_often, path, seed, 500, cap) for seed in range(4)]
    for worker in running:
        worker.start()
    told = []
    for worker in running:
        lines, status = worker.told()
        assert status == 0
        told += lines
    fates = [fate for fate, _, _ in told]
    assert len(told) == 2000
    assert {"refused", "settled", "released", "kept"} == set(fates)
    spent = Ledger(path, Caps()).spent()
    assert spent.usd == pytest.approx(sum(units for _, units, _ in told) / 1000, abs=1e-9)
    assert spent.requests == fates.count("settled") + fates.count("kept")
    assert spent.tokens == sum(tokens for _, _, tokens in told)
    assert spent.usd <= cap


def test_killed_process_leaves_a_whole_account(path: Path, processes: ForkServerContext) -> None:
    draw = random.Random(7)
    least = 0.0
    for seed in range(20):
        worker = Worker(processes, spend_often, path, seed, 1_000_000, 1e9)
        worker.start()
        time.sleep(draw.uniform(0.0, 0.05))
        worker.kill()
        lines, _ = worker.told()
        least += sum(units for _, units, _ in lines) / 1000
        # One request was open at most, or closed without being told.
        spent = Ledger(path, Caps()).spent().usd
        assert least - 1e-9 <= spent <= least + 0.010 + 1e-9
        least = spent
    assert least > 0
