from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hypermix.errors import AugmentError
from hypermix.rewrite.masked import MaskedModel
from tests.one_thread import one_thread
from tests.tiny import save_tiny_bert
from tests.tiny_rewrite import LONGEST, WORDS, save_masked_bert, save_masked_roberta

__all__ = ["one_thread"]
BIASES = {"good": 8.0, "fine": 6.0, "##ing": 10.0, "[MASK]": 9.0, "[SEP]": 9.0}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> MaskedModel:
    """Return a model that says the same everywhere."""
    return MaskedModel(save_masked_bert(tmp_path_factory.mktemp("masked") / "bert", BIASES), 3)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> MaskedModel:
    """Return a model that says what depends on the text."""
    return MaskedModel(save_masked_bert(tmp_path_factory.mktemp("masked") / "bert", {}, spread=0.5), 50)


def test_the_likeliest_whole_words_are_told(known: MaskedModel) -> None:
    """The likeliest token of all is a piece, and the next are special."""
    told = known("the film was bad .", 13, 16)
    assert [word for word, _ in told[:2]] == ["good", "fine"]
    assert len(told) == 3
    assert told[0][1] / told[1][1] == pytest.approx(math.exp(2.0))
    assert sum(weight for _, weight in told) < 1


def test_all_words_are_told_if_there_are_fewer(reading: MaskedModel) -> None:
    assert {word for word, _ in reading("the film", 0, 3)} == {word for word in WORDS if not word.startswith("##")}


def test_what_is_told_depends_on_the_rest_of_the_text(reading: MaskedModel) -> None:
    assert reading("the film was bad", 13, 16) != reading("the plot was bad", 13, 16)
    assert reading("the film was bad", 13, 16) != reading("the film was bad", 4, 8)


def test_the_word_itself_is_not_seen(reading: MaskedModel) -> None:
    assert reading("the film was bad !", 13, 16) == reading("the film was dull !", 13, 17)


def test_equal_questions_have_equal_answers(reading: MaskedModel) -> None:
    assert reading("the film was bad", 4, 8) == reading("the film was bad", 4, 8)


def test_a_mask_in_the_text_is_text(reading: MaskedModel) -> None:
    """A text that holds the name of a special token has no second mask, and no end in its middle."""
    text = "[MASK] [SEP] was bad"
    told = reading(text, 17, 20)
    assert told != reading("a a was bad", 8, 11)
    assert told != reading("was bad", 4, 7)
    assert reading._cut("[MASK] [SEP]") == reading._cut("[ MASK ] [ SEP ]")


@pytest.mark.parametrize("before", [0, 5, 300])
@pytest.mark.parametrize("after", [0, 5, 300])
def test_of_a_long_text_what_is_near_is_read(reading: MaskedModel, before: int, after: int) -> None:
    text = "good " * before + "film" + " bad" * after
    near = LONGEST
    short = "good " * min(before, near) + "film" + " bad" * min(after, near)
    place, there = len("good " * before), len("good " * min(before, near))
    assert reading(text, place, place + 4) == reading(short, there, there + 4)
    assert len(reading(text, place, place + 4)) > 10


def test_an_empty_rest_is_no_trouble(known: MaskedModel) -> None:
    assert known("film", 0, 4)[0][0] == "good"
    assert known("🙂 film", 2, 6)[0][0] == "good"


def test_tokens_that_begin_words_are_told_apart_after_a_space(tmp_path: Path) -> None:
    """In byte-level tokenizers a word after a space is another token than the same letters inside of a word."""
    biases = {"Ġgood": 8.0, "Ġfine": 6.0, "ful": 9.0, "<mask>": 9.0}
    found = MaskedModel(save_masked_roberta(tmp_path / "roberta", biases), 2)
    assert [word for word, _ in found("the film was bad", 13, 16)] == ["good", "fine"]
    assert [word for word, _ in found("bad film", 0, 3)] == ["ful", "good"]


def test_an_encoder_without_a_head_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "bert")
    with pytest.raises(AugmentError, match=r"cannot be loaded as a masked language model: it lacks the weights cls\."):
        MaskedModel(folder, 5)


def test_a_tokenizer_without_a_mask_is_refused(tmp_path: Path) -> None:
    folder = save_masked_bert(tmp_path / "bert", {})
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(AugmentError, match="its tokenizer has no mask; name a masked language model such as BERT"):
        MaskedModel(folder, 5)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_files_are_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    folder = save_masked_bert(tmp_path / "bert", {})
    (folder / name).write_bytes(b"{")
    with pytest.raises(AugmentError, match=r"bert: cannot be loaded as a masked language model: .*; name another mode"):
        MaskedModel(folder, 5)
