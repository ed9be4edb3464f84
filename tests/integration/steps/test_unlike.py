from __future__ import annotations

from typing import Any

from hypermix.steps.unlike import unlike_runs


def made(classifier: str, **trained: Any) -> dict[str, Any]:
    return {"keys": {"classifier": classifier}, "trained": trained}


def test_runs_that_were_trained_alike_tell_nothing() -> None:
    weights = {"model.safetensors": "ab"}
    runs = [made(name, weights=weights, device="cpu", precision="float32") for name in ("small", "large") * 2]

    assert list(unlike_runs([*runs, {"keys": {"classifier": "small"}}])) == []


def test_classifiers_may_differ_from_each_other() -> None:
    assert list(unlike_runs([made("small", device="cpu"), made("large", device="cuda")])) == []


def test_each_thing_that_differs_is_told() -> None:
    runs = [
        made("small", weights={"model.safetensors": digest}, device=device, precision=precision)
        for digest, device, precision in [
            ("ab", "cuda", "bfloat16"),
            ("cd", "cpu", "float32"),
            ("ab", "cpu", "float32"),
        ]
    ]

    assert list(unlike_runs(runs)) == [
        "small: its runs started from 2 different sets of weights, since its model has changed: name a commit as its "
        "revision in the config, and train all of them again.",
        "small: its runs ran on 2 kinds of device (cpu, cuda), whose last bits differ: set device in the config, and "
        "train all of them again.",
        "small: its runs ran in 2 precisions (bfloat16, float32): set precision in the config, and train all of them "
        "again.",
    ]
