"""Runs of one classifier that were not trained alike, though the config says the same of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TOLD = {
    "weights": "started from {} different sets of weights, since its model has changed: name a commit as its revision",
    "device": "ran on {} kinds of device ({}), whose last bits differ: set device",
    "precision": "ran in {} precisions ({}): set precision",
}
"""What may differ between runs without a change of the config, and what to set so that it does not."""


def unlike_runs(made: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Tell of the classifiers whose runs cannot be compared as they stand.

    Args:
        made: The provenance of all metrics; `trained` of each tells what its training started from and ran on.

    Yields:
        A sentence for each classifier and what differs.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for one in made:
        for name, value in one.get("trained", {}).items():
            kinds = found.setdefault(str(one["keys"]["classifier"]), {}).setdefault(name, set())
            kinds.add(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    for classifier, parts in found.items():
        for name, told in _TOLD.items():
            values = sorted(parts.get(name, ()))
            if len(values) > 1:
                differs = told.format(len(values), ", ".join(values))
                yield f"{classifier}: its runs {differs} in the config, and train all of them again."
