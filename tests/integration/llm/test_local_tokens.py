from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hypermix.errors import LlmError
from hypermix.llm.local.tokens import Tokens
from tests.tiny_lm import BOS, EOS, byte_level, sentencepiece

TEXT = "(Sentiment: Positive) é€😀\n\n good film"


def tokens_of(tokenizer: Tokenizer, **named: str) -> Tokens:
    named = {"bos_token": BOS, "eos_token": EOS, **named}
    return Tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named))


BYTEWISE, PIECES = tokens_of(byte_level()), tokens_of(sentencepiece(), unk_token="<unk>")


@pytest.fixture
def bytewise() -> Tokens:
    return BYTEWISE


@pytest.fixture
def pieces() -> Tokens:
    return PIECES


def test_tokens_that_end_inside_a_character_tell_their_bytes(bytewise: Tokens) -> None:
    assert bytewise.split("é€ good") == [b"\xc3", b"\xa9", b"\xe2", b"\x82", b"\xac", b" good"]


def test_fallback_bytes_tell_themselves(pieces: Tokens) -> None:
    assert pieces.split("é good") == [b" ", b"\xc3", b"\xa9", b" good"]
    assert pieces.split("a\n") == [b" ", b"a", b"\n"]


def test_a_word_that_looks_like_a_byte_is_none(bytewise: Tokens, pieces: Tokens) -> None:
    assert b"".join(bytewise.split("<0x41>")) == b"<0x41>"
    assert b"".join(pieces.split("<0x41>")) == b" <0x41>"


@given(st.text(max_size=40))
def test_bytes_spell_any_text(text: str) -> None:
    assert b"".join(BYTEWISE.split(text)) == text.encode()
    spelled = b"".join(PIECES.split(text))
    assert spelled == (b" " + text.replace("▁", " ").encode() if text else b"")


def test_every_byte_has_a_token(bytewise: Tokens, pieces: Tokens) -> None:
    single = {bytes([byte]) for byte in range(256)}
    assert single <= {bytewise.bytes_of(number) for number in range(256)}
    assert single <= {pieces.bytes_of(number) for number in range(1, 257)}


# What stands before and after a prompt.


def test_bos_comes_once(bytewise: Tokens, pieces: Tokens) -> None:
    for tokens in (bytewise, pieces):
        ids = tokens.encode("a film")
        assert [tokens.name_of(number) for number in ids].count(BOS) == 1
        assert tokens.name_of(ids[0]) == BOS


def test_no_bos_where_the_tokenizer_adds_none() -> None:
    tokens = tokens_of(byte_level(bos=False))
    assert [tokens.bytes_of(number) for number in tokens.encode("ab")] == [b"a", b"b"]
    assert tokens.encode("") == []


def test_empty_prompt_is_bos_alone(bytewise: Tokens) -> None:
    assert [bytewise.name_of(number) for number in bytewise.encode("")] == [BOS]


def test_what_would_end_the_prompt_is_left_out() -> None:
    tokenizer = byte_level()
    ids = [(name, tokenizer.token_to_id(name)) for name in (BOS, EOS)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=ids)
    tokens = tokens_of(tokenizer)
    assert [tokens.name_of(number) for number in tokens.encode("a")] == [BOS, "a"]


@pytest.mark.parametrize("name", [BOS, EOS])
def test_special_words_of_a_text_stay_text(bytewise: Tokens, name: str) -> None:
    ids = bytewise.encode(f"a{name}b")
    assert b"".join(bytewise.bytes_of(number) for number in ids) == f"a{name}b".encode()
    assert not {*ids[1:]} & bytewise.special


def test_settings_of_the_file_cut_and_fill_nothing() -> None:
    tokenizer = byte_level()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=60)
    assert len(tokens_of(tokenizer).encode("x" * 30)) == 31


def test_special_tokens_have_a_name_and_no_bytes(bytewise: Tokens) -> None:
    (bos,) = bytewise.encode("")
    assert (bytewise.bytes_of(bos), bytewise.name_of(bos)) == (b"", BOS)


def test_id_without_token_has_neither(bytewise: Tokens) -> None:
    assert (bytewise.bytes_of(99_999), bytewise.name_of(99_999)) == (b"", "")


def test_name_of_half_a_character_is_readable(bytewise: Tokens) -> None:
    (half, _) = bytewise.encode("é")[1:]
    assert bytewise.name_of(half) == "\ufffd"


@pytest.mark.parametrize("word", ["two words", "né", "é"])
def test_added_word_is_plain_text(word: str) -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens([word])
    assert tokens_of(tokenizer).split(f"x{word}") == [b"x", word.encode()]


# Other tokenizers.


def test_metaspace_is_a_space() -> None:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁good", -1.0), ("▁film", -1.0)], unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    assert tokens_of(tokenizer).split("good film") == [b" good", b" film"]


@pytest.mark.parametrize(
    ("decoder", "told"), [(decoders.WordPiece(), "WordPiece"), (decoders.BPEDecoder(), "BPEDecoder"), (None, "none")]
)
def test_tokenizer_that_hides_its_bytes_is_refused(decoder: decoders.Decoder | None, told: str) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    if decoder is not None:
        tokenizer.decoder = decoder
    with pytest.raises(LlmError, match=rf"do not tell their bytes \(decoder: {told}\); take a model with"):
        tokens_of(tokenizer)


def test_saved_tokenizer_is_the_same(tmp_path: Path, pieces: Tokens) -> None:
    PreTrainedTokenizerFast(tokenizer_object=sentencepiece(), bos_token=BOS, eos_token=EOS).save_pretrained(tmp_path)
    assert Tokens(PreTrainedTokenizerFast.from_pretrained(tmp_path)).split(TEXT) == pieces.split(TEXT)
