from __future__ import annotations

import pytest

from hypermix.config.filter import Relabel
from hypermix.errors import AugmentError
from hypermix.records import Example
from hypermix.steps.labeler import Labeler, describe_encoder

SETTINGS = Relabel(by="classifier").model_dump()
GOOD = ["a wonderful film", "great acting and a moving story", "I loved every minute", "a delight from start to end"]
BAD = ["a terrible film", "awful acting and a dull story", "I hated every minute", "a waste of time and money"]
EXAMPLES = [
    Example(f"{label}{place}", text, label)
    for label, texts in (("pos", GOOD), ("neg", BAD))
    for place, text in enumerate(texts)
]


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler(SETTINGS, EXAMPLES, ["neg", "pos"], offline=True)


@pytest.mark.parametrize(
    ("text", "label"),
    [("a beautiful and touching picture", 1), ("boring, badly made, simply horrible", 0), (GOOD[0], 1), (BAD[0], 0)],
)
def test_a_text_gets_the_label_of_the_rows_that_it_is_like(labeler: Labeler, text: str, label: int) -> None:
    shares = labeler(text)
    assert sum(shares) == pytest.approx(1.0)
    assert shares[label] > 0.6


def test_what_was_asked_before_changes_no_bit(labeler: Labeler) -> None:
    first = labeler("a film like many others")
    labeler("something else that is very much longer than the other text was")
    assert labeler("a film like many others") == first
    assert Labeler(SETTINGS, EXAMPLES, ["neg", "pos"], offline=True)("a film like many others") == first


@pytest.mark.parametrize("text", ["", "😀", "这部电影很好看", "\x00", "x" * 5000])
def test_any_text_gets_a_label(labeler: Labeler, text: str) -> None:
    assert sum(labeler(text)) == pytest.approx(1.0)


def test_without_rows_nothing_can_be_learned() -> None:
    with pytest.raises(
        AugmentError, match=r"relabel\.by: classifier learns from real rows, and the subsample has none"
    ):
        Labeler(SETTINGS, [], ["neg", "pos"], offline=True)("a text")


def test_provenance_names_the_weights() -> None:
    found = describe_encoder(SETTINGS, offline=True)
    assert found["commit"] is None
    assert {len(digest) for digest in found["weights"].values()} == {64}
