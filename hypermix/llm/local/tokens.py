"""Tokens and their bytes.

Decoding tokens one by one lies where a token ends inside a character, or where a decoder drops the space before the
first of them. So the bytes of a token are read from its piece in the vocabulary, by the rule of the decoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from hypermix.errors import LlmError

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_KNOWN = {"ByteLevel", "ByteFallback", "Replace", "Metaspace", "Fuse", "Strip", "Sequence"}
"""Decoders whose tokens spell their bytes each for itself, but for a space at the start of a text."""


class Tokens:
    """The tokenizer of a causal language model.

    Attributes:
        special: The ids of the tokens that stand for no text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read how the tokens spell their bytes.

        Raises:
            LlmError: If they do not spell them each for itself.
        """
        self._tokenizer = tokenizer
        self.special = frozenset(int(number) for number in tokenizer.all_special_ids)
        nodes = list(_nodes(_decoder(tokenizer)))
        kinds = {str(node["type"]) for node in nodes}
        self._alphabet = {sign: byte for byte, sign in bytes_to_unicode().items()} if "ByteLevel" in kinds else {}
        self._fallback = "ByteFallback" in kinds
        self._replaced = [pair for node in nodes for pair in _replacement(node)]
        # Matched in the text as they stand, whatever the tokens beside them are written in.
        self._added = frozenset(tokenizer.added_tokens_decoder)
        self._bytes: dict[int, bytes] = {}
        if kinds - _KNOWN or not (self._alphabet or self._replaced):
            told = ", ".join(sorted(kinds)) or "none"
            raise LlmError(
                f"the tokens of this model's tokenizer do not tell their bytes (decoder: {told}); take a model with a "
                "byte-level or a SentencePiece tokenizer"
            )

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a prompt, with what the tokenizer puts before each text, such as a BOS token.

        Words of the text that look like special tokens stay text, since it comes from a dataset. What the tokenizer
        would put at the end is left out: the text goes on.

        Args:
            text: The prompt.
        """
        ids = self._encode(text, special=True)
        while text and len(ids) > 1 and ids[-1] in self.special:
            ids.pop()
        return ids

    def split(self, text: str) -> list[bytes]:
        """Return the bytes of each token of a text, without special tokens."""
        return [self.bytes_of(number) for number in self._encode(text, special=False)]

    def _encode(self, text: str, *, special: bool) -> list[int]:
        encoded = self._tokenizer(
            text, add_special_tokens=special, split_special_tokens=True, truncation=False, verbose=False
        )
        return [int(number) for number in encoded["input_ids"]]

    def bytes_of(self, number: int) -> bytes:
        """Return the bytes that a token stands for: none for special tokens and for ids without a token."""
        if number not in self._bytes:
            piece = self._piece(number)
            self._bytes[number] = b"" if piece is None or number in self.special else self._spell(number, piece)
        return self._bytes[number]

    def name_of(self, number: int) -> str:
        """Return what to show for a token: its text, or the name of a special token."""
        spelled = self.bytes_of(number)
        return spelled.decode("utf-8", "replace") if spelled else str(self._piece(number) or "")

    def _piece(self, number: int) -> str | None:
        piece = self._tokenizer.convert_ids_to_tokens(number)
        return None if piece is None else str(piece)

    def _spell(self, number: int, piece: str) -> bytes:
        if self._alphabet:
            plain = number in self._added or any(sign not in self._alphabet for sign in piece)
            return piece.encode() if plain else bytes(self._alphabet[sign] for sign in piece)
        found = _BYTE.fullmatch(piece) if self._fallback else None
        if found:
            return bytes([int(found[1], 16)])
        for old, new in self._replaced:
            piece = piece.replace(old, new)
        return piece.encode()


def _decoder(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, Any] | None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"type": type(tokenizer).__name__}
    decoder: Mapping[str, Any] | None = json.loads(backend.to_str())["decoder"]
    return decoder


def _nodes(decoder: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if decoder is not None:
        yield decoder
        for inner in decoder.get("decoders", ()):
            yield from _nodes(inner)


def _replacement(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a decoder replaces in a piece."""
    if node["type"] == "Metaspace":
        yield str(node["replacement"]), " "
    elif node["type"] == "Replace" and "String" in node["pattern"]:
        yield str(node["pattern"]["String"]), str(node["content"])
