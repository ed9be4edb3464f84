from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hypermix.errors import AugmentError
from hypermix.rewrite.translation import RoundTrip, Translator
from tests.one_thread import one_thread
from tests.tiny import save_tiny_bert
from tests.tiny_rewrite import save_marian

__all__ = ["one_thread"]
SENTENCES = ["the film was good", "a dull plot", "fine film bad plot"]


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_marian(tmp_path_factory.mktemp("marian") / "model", SENTENCES)


@pytest.fixture(scope="module")
def translator(marian: Path) -> Translator:
    return Translator(marian, 0.9)


@pytest.fixture(scope="module")
def trip(translator: Translator) -> RoundTrip:
    return RoundTrip(translator, translator)


def test_equal_seeds_give_equal_texts_and_others_others(trip: RoundTrip) -> None:
    found = [trip("the film was good", seed) for seed in range(8)]
    assert found == [trip("the film was good", seed) for seed in range(8)]
    assert len(set(found)) > 2


def test_global_state_changes_nothing_and_is_not_changed(trip: RoundTrip) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trip("a dull plot", 5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert trip("a dull plot", 5) == first


def test_texts_are_of_the_words_of_the_model_alone(trip: RoundTrip) -> None:
    known = set(" ".join(SENTENCES).split())
    told = [word for seed in range(10) for word in trip("the film was good", seed).split()]
    assert told
    assert set(told) <= known


def test_both_models_are_asked_in_their_order(translator: Translator) -> None:
    class Saying(Translator):
        def __init__(self, word: str) -> None:
            self.word = word

        def __call__(self, sentences: list[str]) -> list[str]:
            return [f"{self.word}({sentence})" for sentence in sentences]

    trip = RoundTrip(Saying("forward"), Saying("back"))
    assert trip("One. Two! \n three", 0) == "back(forward(One.)) back(forward(Two!)) back(forward(three))"
    assert trip("好。坏。", 0) == "back(forward(好。)) back(forward(坏。))"


def test_a_low_temperature_says_the_likeliest(marian: Path) -> None:
    cold = Translator(marian, 0.01)
    trip = RoundTrip(cold, cold)
    assert len({trip("the film was good", seed) for seed in range(6)}) == 1


@pytest.mark.parametrize("text", ["", "  \n ", "\n\n"])
def test_an_empty_text_has_no_translation(trip: RoundTrip, text: str) -> None:
    assert trip(text, 1) == ""


@pytest.mark.parametrize("text", ["word " * 500, "🙂", ">>fr<< text", "</s> <pad>", "x" * 3000])
def test_strange_texts_are_translated_too(trip: RoundTrip, text: str) -> None:
    assert isinstance(trip(text, 1), str)


def test_a_model_that_does_not_translate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AugmentError, match=r"bert: cannot be loaded as a translation model: "):
        Translator(save_tiny_bert(tmp_path / "bert"), 1.0)


def test_a_model_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = save_marian(tmp_path / "model", SENTENCES)
    (folder / "source.spm").unlink()
    with pytest.raises(AugmentError, match=r"model: cannot be loaded as a translation model: "):
        Translator(folder, 1.0)
