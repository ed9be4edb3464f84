from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hypermix.classify.encode import Encoded
from hypermix.classify.finetune import Moment, accuracy_on, best_moment, finetune, kept_moment, predict
from hypermix.classify.mixing import Mixing
from hypermix.classify.model import load_classifier
from hypermix.classify.network import Network
from hypermix.classify.recipe import Recipe
from hypermix.classify.reinit import reinit_top
from hypermix.classify.tmix import Mixer
from hypermix.errors import TrainError
from hypermix.seeding import child_generator
from tests.integration.classify.conftest import EncodeRows
from tests.tiny import toy_rows

RECIPE = Recipe(
    learning_rate=5e-3,
    weight_decay=0.0,
    batch_size=8,
    patience=10,
    patience_unit="epochs",
    min_steps=0,
    max_steps=None,
    validate_every=None,
)
STILL = 1e-12
"""A learning rate at which no prediction changes, so that the first validation stays the best."""


@pytest.fixture(scope="module")
def train(encode_rows: EncodeRows) -> Encoded:
    return encode_rows(toy_rows(32, seed=1))


@pytest.fixture(scope="module")
def validation(encode_rows: EncodeRows) -> Encoded:
    return encode_rows(toy_rows(16, seed=2))


def trained(
    tiny: Path, train: Encoded, validation: Encoded, seed: int, **changes: Any
) -> tuple[list[Moment], NDArray[np.float64]]:
    network, _ = load_classifier(str(tiny), 2, seed)
    history = finetune(network, train, validation, replace(RECIPE, **changes), seed)
    return history, predict(network, validation)


def without_time(history: list[Moment]) -> list[Moment]:
    return [replace(moment, seconds=0.0, peak_mb=0.0) for moment in history]


def swapped(rows: Encoded) -> Encoded:
    """Turn every label into the other one."""
    return replace(rows, targets=rows.targets[:, ::-1].copy())


# It learns.


def test_separable_task_is_learned(network: Network, encode_rows: EncodeRows, train: Encoded) -> None:
    test = encode_rows(toy_rows(60, seed=3))
    assert accuracy_on(network, test) < 0.8
    history = finetune(network, train, encode_rows(toy_rows(16, seed=2)), replace(RECIPE, max_steps=100), seed=1)
    assert accuracy_on(network, test) == 1.0
    assert history[-1].train_loss < 0.1 < history[0].train_loss


def test_soft_labels_are_learned(network: Network, encode_rows: EncodeRows, validation: Encoded) -> None:
    rows = encode_rows(toy_rows(32, seed=1))
    soft = replace(rows, targets=(0.8 * rows.targets + 0.1).astype(np.float32))
    # One validation alone, so that the last weights are the best.
    finetune(network, soft, validation, replace(RECIPE, max_steps=150, validate_every=150), seed=1)
    assert predict(network, soft).max(axis=1).mean() == pytest.approx(0.9, abs=0.04)


# The same seed.


def test_same_seed_gives_same_bits(tiny: Path, train: Encoded, validation: Encoded) -> None:
    one_history, one = trained(tiny, train, validation, seed=5, max_steps=12)
    torch.rand(7)  # what others drew before is nothing to it
    other_history, other = trained(tiny, train, validation, seed=5, max_steps=12)
    assert np.array_equal(one, other)
    assert without_time(one_history) == without_time(other_history)


def test_other_seed_gives_other_results(tiny: Path, train: Encoded, validation: Encoded) -> None:
    one_history, one = trained(tiny, train, validation, seed=5, max_steps=12)
    other_history, other = trained(tiny, train, validation, seed=6, max_steps=12)
    assert not np.array_equal(one, other)
    assert one_history[0].train_loss != other_history[0].train_loss


def test_seed_decides_order_and_dropout(tiny: Path, train: Encoded, validation: Encoded) -> None:
    losses = []
    for seed in (5, 6):
        network, _ = load_classifier(str(tiny), 2, seed=1)  # one head for both
        losses.append(finetune(network, train, validation, replace(RECIPE, max_steps=4), seed)[0].train_loss)
    assert losses[0] != losses[1]


def test_validation_changes_no_training(tiny: Path, train: Encoded, validation: Encoded) -> None:
    # Dropout is off in a validation, so validating more often must draw nothing from the generator of dropout.
    seldom, _ = trained(tiny, train, validation, seed=5, max_steps=8, validate_every=8)
    often, _ = trained(tiny, train, validation, seed=5, max_steps=8, validate_every=1)
    assert seldom[0].train_loss == pytest.approx(math.fsum(moment.train_loss for moment in often) / 8, rel=1e-12)


# The best weights.


def test_best_weights_are_restored(tiny: Path, train: Encoded, validation: Encoded) -> None:
    # Validation wants the opposite of train: the more is learned, the worse it gets, so the best comes early.
    network, _ = load_classifier(str(tiny), 2, seed=1)
    against = swapped(validation)
    seen: list[NDArray[np.float64]] = []
    recipe = replace(RECIPE, max_steps=60, validate_every=2, patience=1000)
    history = finetune(network, train, against, recipe, 1, lambda moment: seen.append(predict(network, validation)))
    best = best_moment(history)
    assert best is not history[-1]
    assert best.validation_accuracy > history[-1].validation_accuracy == 0.0
    assert accuracy_on(network, against) == best.validation_accuracy
    assert np.array_equal(predict(network, validation), seen[history.index(best)])


def test_first_of_equal_moments_is_best() -> None:
    moments = [Moment(1, step, 0.5, accuracy, 1e-3, 0.0) for step, accuracy in enumerate([0.5, 0.8, 0.7, 0.8])]
    assert best_moment(moments).step == 1


# When it validates and when it stops. 16 rows in batches of 8 are two steps an epoch.

STOPS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "patience 1 epoch": ({"patience": 1}, [2, 4, 6]),
    "patience 3 epochs": ({"patience": 3}, [2, 4, 6, 8, 10]),
    "patience 3 steps": ({"patience": 3, "patience_unit": "steps"}, [2, 4, 6]),
    "patience 4 steps": ({"patience": 4, "patience_unit": "steps"}, [2, 4, 6, 8]),
    "every step": ({"patience": 2, "patience_unit": "steps", "validate_every": 1}, [1, 2, 3, 4]),
    "every 3 steps, patience in epochs": ({"patience": 1, "validate_every": 3}, [3, 6, 9]),
    "min_steps holds it": ({"patience": 1, "min_steps": 9}, [2, 4, 6, 8, 10]),
    "min_steps at a validation": ({"patience": 1, "min_steps": 8}, [2, 4, 6, 8]),
    "min_steps before patience": ({"patience": 2, "min_steps": 3}, [2, 4, 6, 8]),
    "max_steps at a validation": ({"max_steps": 4}, [2, 4]),
    "max_steps between validations": ({"max_steps": 5}, [2, 4, 5]),
    "max_steps before any validation": ({"max_steps": 1}, [1]),
    "max_steps before min_steps": ({"max_steps": 3, "min_steps": 50}, [2, 3]),
    "max_steps before validate_every": ({"max_steps": 5, "validate_every": 100}, [5]),
    "both ends at once": ({"max_steps": 6, "patience": 1}, [2, 4, 6]),
    "epochs": ({"epochs": 2}, [2, 4]),
    "epochs and a step between": ({"epochs": 2, "validate_every": 3}, [3, 4]),
    "epochs before max_steps": ({"epochs": 1, "max_steps": 9}, [2]),
    "max_steps before epochs": ({"epochs": 9, "max_steps": 3}, [2, 3]),
    "no patience": ({"patience": None, "epochs": 14, "validate_every": 7}, [7, 14, 21, 28]),
    "epochs before min_steps": ({"epochs": 1, "min_steps": 50}, [2]),
    "one batch an epoch": ({"batch_size": 100, "patience": 1}, [1, 2, 3]),
    "a short last batch": ({"batch_size": 7, "patience": 1}, [3, 6, 9]),
}


@pytest.mark.parametrize("case", STOPS)
def test_validations_come_at_these_steps(network: Network, encode_rows: EncodeRows, case: str) -> None:
    changes, steps = STOPS[case]
    rows, told = encode_rows(toy_rows(16, seed=1)), list[Moment]()
    recipe = replace(RECIPE, learning_rate=STILL, **changes)
    history = finetune(network, rows, encode_rows(toy_rows(4, seed=2)), recipe, 1, told.append)
    assert [moment.step for moment in history] == steps
    assert told == history


def test_epochs_are_counted_from_one(network: Network, encode_rows: EncodeRows) -> None:
    recipe = replace(RECIPE, learning_rate=STILL, max_steps=5, validate_every=1)
    history = finetune(network, encode_rows(toy_rows(16, seed=1)), encode_rows(toy_rows(4, seed=2)), recipe, 1)
    assert [moment.epoch for moment in history] == [1, 1, 2, 2, 3]


def test_improvement_renews_patience(tiny: Path, train: Encoded, validation: Encoded) -> None:
    history, _ = trained(tiny, train, validation, seed=1, patience=2, max_steps=400)
    best = best_moment(history)
    assert best.epoch > 1
    assert history[-1].epoch == best.epoch + 3


def test_moment_tells_mean_loss_and_rate(network: Network, train: Encoded, validation: Encoded) -> None:
    recipe = replace(RECIPE, max_steps=4)
    (moment,) = finetune(network, train, validation, recipe, 1)
    assert moment.learning_rate == RECIPE.learning_rate
    assert 0.0 < moment.train_loss < 2.0
    assert moment.seconds > 0.0
    assert moment.validation_accuracy == accuracy_on(network, validation)


# Matched steps: an epoch has as many steps as are asked for, whatever the rows.


@pytest.mark.parametrize("n_rows", [3, 16, 40])
@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"epochs": 2}, [5, 10]),
        ({"patience": 1}, [5, 10, 15]),
        ({"patience": 7, "patience_unit": "steps"}, [5, 10]),
        ({"max_steps": 7}, [5, 7]),
    ],
)
def test_matched_epochs_have_these_steps(
    network: Network, encode_rows: EncodeRows, n_rows: int, changes: dict[str, Any], steps: list[int]
) -> None:
    rows, few = encode_rows(toy_rows(n_rows, seed=1)), encode_rows(toy_rows(4, seed=2))
    wanted = [5, 10, 15] if changes.get("patience") == 7 else steps  # older than 7 steps is 10 at the next look
    history = finetune(network, rows, few, replace(RECIPE, learning_rate=STILL, **changes), 1, epoch_steps=5)
    assert [moment.step for moment in history] == wanted
    assert [moment.epoch for moment in history] == list(range(1, len(wanted) + 1))


class Counting(Network):
    """Remembers the rows of each training step."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.model)
        self.seen: list[list[int]] = []

    def logits(self, rows: Encoded, positions: Sequence[int], mixing: Mixing | None = None) -> torch.Tensor:
        if self.model.training:
            self.seen.append(list(positions))
        return super().logits(rows, positions, mixing)


@pytest.mark.parametrize("epoch_steps", [None, 1, 4])
def test_rows_go_round_in_whole_passes(network: Network, encode_rows: EncodeRows, epoch_steps: int | None) -> None:
    counting = Counting(network)
    rows = encode_rows(toy_rows(10, seed=1))
    recipe = replace(RECIPE, learning_rate=STILL, max_steps=6)
    finetune(counting, rows, encode_rows(toy_rows(4, seed=2)), recipe, 1, epoch_steps=epoch_steps)
    assert [len(positions) for positions in counting.seen] == [8, 2] * 3
    passes = [[*counting.seen[start], *counting.seen[start + 1]] for start in (0, 2, 4)]
    assert [sorted(one) for one in passes] == [list(range(10))] * 3
    assert passes[0] != passes[1] != passes[2]


def test_match_with_its_own_number_changes_nothing(tiny: Path, train: Encoded, validation: Encoded) -> None:
    found = []
    for steps in (None, 4):
        network, _ = load_classifier(str(tiny), 2, 5)
        history = finetune(network, train, validation, replace(RECIPE, max_steps=12), 5, epoch_steps=steps)
        found.append((without_time(history), predict(network, validation)))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])


# The parts of a recipe.


def test_last_weights_are_kept(tiny: Path, train: Encoded, validation: Encoded) -> None:
    network, _ = load_classifier(str(tiny), 2, seed=1)
    against = swapped(validation)
    seen: list[NDArray[np.float64]] = []
    recipe = replace(RECIPE, max_steps=60, validate_every=2, patience=None, keep="last")
    history = finetune(network, train, against, recipe, 1, lambda _: seen.append(predict(network, validation)))
    assert best_moment(history) is not history[-1] is kept_moment(history, "last")
    assert kept_moment(history, "best") is best_moment(history)
    assert np.array_equal(predict(network, validation), seen[-1])


def test_moment_tells_the_rate_of_its_step(network: Network, train: Encoded, validation: Encoded) -> None:
    recipe = replace(RECIPE, max_steps=10, validate_every=1, schedule="linear", warmup=0.2, patience=None)
    rates = [moment.learning_rate for moment in finetune(network, train, validation, recipe, 1)]
    rising, falling = [0.0, 2.5e-3], [5e-3 * left / 8 for left in range(8, 0, -1)]
    assert rates == pytest.approx([*rising, *falling])


def test_clipping_changes_training(tiny: Path, train: Encoded, validation: Encoded) -> None:
    # Adam divides by the size of gradients, so a limit shows where steps differ in it.
    free, tight, loose = (
        trained(tiny, train, validation, seed=1, max_steps=8, clip=clip)[1] for clip in (None, 1e-3, 1e6)
    )
    assert np.array_equal(free, loose)
    assert not np.allclose(free, tight, atol=1e-4)


def test_weight_of_a_row_scales_its_loss(tiny: Path, train: Encoded, validation: Encoded) -> None:
    losses = []
    for factor in (1.0, 0.25):
        network, _ = load_classifier(str(tiny), 2, 1)
        rows = replace(train, targets=train.targets * np.float32(factor))
        losses.append(finetune(network, rows, validation, replace(RECIPE, max_steps=1), 1)[0].train_loss)
    assert losses[1] == pytest.approx(0.25 * losses[0], rel=1e-6)


def test_each_step_is_told(network: Network, train: Encoded, validation: Encoded) -> None:
    told: list[tuple[int, float]] = []
    (moment,) = finetune(
        *(network, train, validation, replace(RECIPE, max_steps=4), 1), watch=lambda *step: told.append(step)
    )
    assert [step for step, _ in told] == [1, 2, 3, 4]
    assert moment.train_loss == pytest.approx(math.fsum(loss for _, loss in told) / 4)


def test_tmix_learns(network: Network, train: Encoded, validation: Encoded) -> None:
    mixer = Mixer(alpha=0.75, layers=(1, 2), share_of="row", larger=False, seed=1)
    finetune(network, train, validation, replace(RECIPE, max_steps=150), 1, mixer=mixer)
    assert accuracy_on(network, validation) == 1.0


def test_fresh_layers_shift_no_dropout_and_no_order(tiny: Path, train: Encoded, validation: Encoded) -> None:
    # Fresh weights are put back to those of the file: what is left of reinit_top is what it drew.
    found = []
    for count in (0, 1):
        network, _ = load_classifier(str(tiny), 2, 5)
        weights = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
        reinit_top(network, count, 5)
        network.model.load_state_dict(weights)
        found.append(without_time(finetune(network, train, validation, replace(RECIPE, max_steps=8), 5)))
    assert found[0] == found[1]


# Few rows, and none.


def test_one_row_trains(network: Network, encode_rows: EncodeRows) -> None:
    rows = encode_rows(toy_rows(1, seed=1))
    history = finetune(network, rows, rows, replace(RECIPE, patience=1), 1)
    assert [moment.step for moment in history][:2] == [1, 2]
    assert accuracy_on(network, rows) == 1.0


def test_a_label_that_train_lacks_is_never_learned(network: Network, encode_rows: EncodeRows) -> None:
    rows = encode_rows([row for row in toy_rows(16, seed=1) if row[1] == "positive"])
    finetune(network, rows, rows, replace(RECIPE, max_steps=30, keep="last"), 1)
    assert predict(network, encode_rows(toy_rows(8, seed=2)))[:, 1].min() > 0.9


def test_without_validation_the_last_weights_are_kept(
    network: Network, train: Encoded, encode_rows: EncodeRows
) -> None:
    seen: list[NDArray[np.float64]] = []
    none = encode_rows([])
    recipe = replace(RECIPE, patience=2)
    history = finetune(network, train, none, recipe, 1, lambda _: seen.append(predict(network, train)))
    assert [moment.epoch for moment in history] == [1, 2, 3, 4]  # nothing gets better than the first
    assert all(math.isnan(moment.validation_accuracy) for moment in history)
    assert kept_moment(history, "best") is history[-1]
    assert np.array_equal(predict(network, train), seen[-1])


# Mistakes.


@pytest.mark.parametrize("n_validation", [4, 0])
def test_no_rows_are_refused(network: Network, encode_rows: EncodeRows, n_validation: int) -> None:
    rows = [encode_rows(toy_rows(count, seed=1)) for count in (0, n_validation)]
    with pytest.raises(TrainError, match="training needs rows, and train has none; raise subsample"):
        finetune(network, rows[0], rows[1], RECIPE, 1)


def test_loss_that_is_not_finite_is_told_with_its_rows(network: Network, train: Encoded, validation: Encoded) -> None:
    named = replace(train, ids=tuple(f"row{position}" for position in range(len(train))))
    order = list(range(len(train)))
    child_generator(1, ("order", 1)).shuffle(order)
    rows = ", ".join(f"row{position}" for position in order[8:16])
    wanted = (
        rf"^the loss of step 2 is nan, on the rows with the ids {rows}; lower the classifier's learning_rate, or look "
        r"at these rows$"
    )
    with pytest.raises(TrainError, match=wanted):
        finetune(network, named, validation, replace(RECIPE, learning_rate=1e38), 1)


def test_rows_without_names_are_told_by_their_place(network: Network, train: Encoded, validation: Encoded) -> None:
    with pytest.raises(TrainError, match=r"with the ids \d+(, \d+){7}; lower"):
        finetune(network, train, validation, replace(RECIPE, learning_rate=1e38), 1)


# Predictions.


def test_predictions_equal_those_row_by_row(network: Network, encode_rows: EncodeRows) -> None:
    rows = encode_rows(toy_rows(200, seed=4))
    together = predict(network, rows)
    assert together.dtype == np.float64
    with torch.inference_mode():
        for position in range(len(rows)):
            alone = torch.softmax(network.logits(rows, [position])[0], dim=-1)
            assert together[position] == pytest.approx(alone.tolist(), abs=1e-5)


def test_probabilities_add_up_to_one(network: Network, train: Encoded) -> None:
    found = predict(network, train)
    assert found.shape == (32, 2)
    assert found.sum(axis=1) == pytest.approx(np.ones(32), abs=1e-12)


def test_prediction_switches_dropout_off(network: Network, train: Encoded) -> None:
    network.model.train()
    assert np.array_equal(predict(network, train), predict(network, train))


def test_no_rows_have_no_predictions(network: Network, encode_rows: EncodeRows) -> None:
    assert predict(network, encode_rows([])).shape == (0, 2)


def test_accuracy_of_no_rows_is_unknown(network: Network, encode_rows: EncodeRows) -> None:
    assert math.isnan(accuracy_on(network, encode_rows([])))


def test_accuracy_counts_right_rows(network: Network, train: Encoded) -> None:
    predicted = predict(network, train).argmax(axis=1)
    right = replace(train, targets=np.eye(2, dtype=np.float32)[predicted])
    assert accuracy_on(network, right) == 1.0
    assert accuracy_on(network, swapped(right)) == 0.0
    right.targets[:8] = right.targets[:8, ::-1].copy()
    assert accuracy_on(network, right) == 0.75
