from __future__ import annotations

import pytest

from hypermix.errors import ArtefactError
from hypermix.report.outcome import OUTCOMES, find_outcome


def test_every_outcome_has_own_shape() -> None:
    shapes = [(outcome.marker, outcome.filled) for outcome in OUTCOMES.values()]
    assert len(set(shapes)) == len(shapes)


def test_every_outcome_has_own_word() -> None:
    assert len({outcome.word for outcome in OUTCOMES.values()}) == len(OUTCOMES)


def test_outcome_is_found_by_name() -> None:
    assert find_outcome("helps").word == "Helps"


def test_unknown_outcome_names_near_one() -> None:
    with pytest.raises(ArtefactError, match=r"unknown outcome 'help': did you mean 'helps'\?.*run aggregate again"):
        find_outcome("help")
