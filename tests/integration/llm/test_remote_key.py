"""Where the key of an endpoint is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypermix.errors import LlmError
from hypermix.llm.remote import read_key

OPENAI = "https://api.openai.com/v1"
ELSEWHERE = "https://llm.example/v1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with no key anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def find(place: dict[str, str | None] | None = None, url: str = OPENAI) -> str:
    return read_key(place, url, "OPENAI_API_KEY", "openai-key")


def test_usual_places_are_looked_at_for_openai_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "openai-key").write_text("sk-of-file\n", encoding="utf-8")
    assert find() == "sk-of-file"
    monkeypatch.setenv("OPENAI_API_KEY", " sk-of-variable\n")
    assert find() == "sk-of-variable"
    for url in (ELSEWHERE, "https://api.openai.com.example/v1", "http://127.0.0.1:1/api.openai.com/v1"):
        assert find(url=url) == ""


def test_named_place_is_the_only_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    monkeypatch.setenv("OTHER", "sk-other")
    (folder / "key").write_text("sk-file\nsecond line\n", encoding="utf-8")
    assert find({"env": "OTHER", "file": None}, ELSEWHERE) == "sk-other"
    assert find({"env": None, "file": "key"}) == "sk-file"


@pytest.mark.parametrize(
    ("place", "content", "wanted"),
    [
        (
            None,
            None,
            "https://api.openai.com/v1 needs a key: set the variable OPENAI_API_KEY, or write it into the file",
        ),
        (
            {"env": "NOT_SET"},
            None,
            "the environment variable NOT_SET, which should hold the key .* is not set or empty",
        ),
        ({"file": "key"}, None, "key: the key cannot be read from this file: FileNotFoundError; see llms"),
        ({"file": "key"}, b"", "the file key, which should hold the key .* is not set or empty"),
        ({"file": "key"}, b"\xff\xfe", "key: the key cannot be read from this file: UnicodeDecodeError; see llms"),
        ({"file": "key"}, b"sk-two words", "the file key holds no key: a key is one word of ASCII characters"),
        ({"file": "key"}, "sk-schlüssel".encode(), "the file key holds no key"),
    ],
)
def test_missing_key_is_told_without_it(
    folder: Path, place: dict[str, str | None] | None, content: bytes | None, wanted: str
) -> None:
    if content is not None:
        (folder / "key").write_bytes(content)
    with pytest.raises(LlmError, match=f"^{wanted}") as caught:
        find(place)
    assert "sk-" not in str(caught.value)
