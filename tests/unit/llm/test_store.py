from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.errors import ArtefactError
from hypermix.llm.store import RequestStore, request_key

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
IDENTITY = {"model_sha256": "ab" * 32}
PATH = "/v1/completions"
BODY = {"model": "m", "prompt": "It was", "seed": 7, "temperature": 1.0, "stop": ["\n"], "logprobs": 20}
KEY = request_key(IDENTITY, PATH, BODY, "42-0-0")
ANSWER = '{"choices": [{"text": " schön 🎬\\n"}]}'

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.dictionaries(st.text(), VALUES, min_size=1, max_size=5)


def as_json(value: object) -> str:
    """Tell 1, 1.0 and True apart, which Python takes for equal."""
    return json.dumps(value, sort_keys=True)


def files(store: RequestStore) -> list[Path]:
    return sorted(path for path in store.folder.parent.rglob("*") if path.is_file())


def damage(store: RequestStore, change: Callable[[bytes], bytes]) -> None:
    path = store.path(KEY)
    path.write_bytes(change(path.read_bytes()))


# The key.


@STEADY
@given(BODIES, VALUES, st.data())
def test_any_changed_value_changes_key(body: dict[str, Any], value: object, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(body)))
    changed = {**body, name: value}
    equal = request_key(IDENTITY, PATH, body, "0") == request_key(IDENTITY, PATH, changed, "0")
    assert equal == (as_json(body) == as_json(changed))


@STEADY
@given(BODIES, st.text(), VALUES)
def test_any_added_setting_changes_key(body: dict[str, Any], name: str, value: object) -> None:
    fewer = {key: part for key, part in body.items() if key != name}
    assert request_key(IDENTITY, PATH, {**fewer, name: value}, "0") != request_key(IDENTITY, PATH, fewer, "0")


@STEADY
@given(BODIES, st.randoms(use_true_random=False))
def test_order_of_settings_is_nothing(body: dict[str, Any], random: Any) -> None:
    names = list(body)
    random.shuffle(names)
    shuffled = {name: body[name] for name in names}
    assert request_key(IDENTITY, PATH, shuffled, "0") == request_key(IDENTITY, PATH, body, "0")


@STEADY
@given(st.text(), st.text())
def test_each_sample_has_its_key(one: str, other: str) -> None:
    equal = request_key(IDENTITY, PATH, BODY, one) == request_key(IDENTITY, PATH, BODY, other)
    assert equal == (one == other)


@pytest.mark.parametrize(
    ("identity", "path"),
    [
        ({"model_sha256": "cd" * 32}, PATH),
        ({"base_url": "ab" * 32}, PATH),
        ({**IDENTITY, "quantization": "q4"}, PATH),
        (IDENTITY, "/v1/chat/completions"),
    ],
)
def test_other_model_or_path_changes_key(identity: dict[str, str], path: str) -> None:
    assert request_key(identity, path, BODY, "42-0-0") != KEY


def test_key_stays_what_it_was() -> None:
    # Answers that were paid for stay found only while this digest stays.
    assert request_key({"model_sha256": "0"}, PATH, {"prompt": "x"}, "1-0-0") == PINNED


PINNED = "3524b2d59ab6db660e2ea3a48a1c2d782d43d0c6e69de3632639558cf09e9307"


# Putting and getting.


def test_stored_answer_comes_back(store: RequestStore) -> None:
    store.put(KEY, {"body": BODY}, ANSWER)
    assert store.get(KEY) == ANSWER


@STEADY
@given(answer=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, answer: str) -> None:
    store = RequestStore(tmp_path_factory.getbasetemp() / "any-text")
    store.put(KEY, {}, answer)
    assert store.get(KEY) == answer


def test_unknown_key_gives_nothing(store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    assert store.get(KEY) is None
    assert not store.folder.exists()
    assert not caplog.records


def test_later_answer_takes_the_place(store: RequestStore) -> None:
    store.put(KEY, {}, "one")
    store.put(KEY, {}, "two")
    assert store.get(KEY) == "two"
    assert files(store) == [store.path(KEY)]


def test_file_tells_people_the_request(store: RequestStore) -> None:
    store.put(KEY, {"path": PATH, "body": BODY, "sample": "42-0-0"}, ANSWER)
    record = json.loads(store.path(KEY).read_text(encoding="utf-8"))
    assert record["request"] == {"path": PATH, "body": BODY, "sample": "42-0-0"}
    assert record["key"] == KEY


def test_failed_write_leaves_nothing(store: RequestStore) -> None:
    with pytest.raises(TypeError):
        store.put(KEY, {"body": object()}, ANSWER)
    assert files(store) == []


def test_failed_write_leaves_old_answer(store: RequestStore) -> None:
    store.put(KEY, {}, "old")
    with pytest.raises(UnicodeEncodeError):
        store.put(KEY, {}, "\ud800")
    assert store.get(KEY) == "old"
    assert files(store) == [store.path(KEY)]


# Damage.

DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: content[:-1],
    lambda content: content.replace(b"sch", b"Sch"),
    lambda content: content.replace(b"\xc3\xb6", b"\xff\xff"),
    lambda content: content.replace(KEY.encode(), KEY[::-1].encode()),
    lambda content: b"[]",
    lambda content: b"null",
    lambda content: b'{"key": "x"}',
    lambda content: b"\x00" * len(content),
]


@pytest.mark.parametrize("change", DAMAGES)
def test_damaged_file_is_told_and_unread(
    store: RequestStore, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    store.put(KEY, {}, ANSWER)
    damage(store, change)
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert caplog.messages == [f"{store.path(KEY)}: is damaged; the request is sent again"]


@STEADY
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_flipped_byte_never_gives_another_answer(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    store = RequestStore(tmp_path_factory.getbasetemp() / "flipped")
    store.put(KEY, {}, ANSWER)

    def change(content: bytes) -> bytes:
        at = position % len(content)
        return content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]

    damage(store, change)
    assert store.get(KEY) in {None, ANSWER}


def test_answer_under_another_key_is_unread(store: RequestStore) -> None:
    other = request_key(IDENTITY, PATH, BODY, "42-1-0")
    store.put(KEY, {}, ANSWER)
    store.path(other).parent.mkdir(parents=True, exist_ok=True)
    store.path(other).write_bytes(store.path(KEY).read_bytes())
    assert store.get(other) is None


def test_damaged_file_takes_new_answer(store: RequestStore) -> None:
    store.put(KEY, {}, "old")
    damage(store, lambda content: content[:10])
    store.put(KEY, {}, "new")
    assert store.get(KEY) == "new"


# Many writers.

WRITER = """
import sys
from pathlib import Path
from hypermix.llm.store import RequestStore
store, key, letter = RequestStore(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
for _ in range(40):
    store.put(key, {"by": letter}, letter * 20_000)
    assert store.get(key) in {"a" * 20_000, "b" * 20_000}, "a part was read"
"""


def test_two_writers_leave_one_whole_file(store: RequestStore) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), KEY, letter], env=environment)
        for letter in "ab"
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert store.get(KEY) in {"a" * 20_000, "b" * 20_000}
    assert files(store) == [store.path(KEY)]


# Hostile keys.


@pytest.mark.parametrize(
    "key", ["", "../../secret", "/etc/passwd", "..", KEY[:-1], KEY.upper(), f"{KEY}\n", f"{KEY}/..", "a\0" * 32]
)
def test_hostile_key_never_leaves_the_folder(store: RequestStore, key: str) -> None:
    with pytest.raises(ArtefactError, match="is no request key; 64 hexadecimal digits are wanted") as caught:
        store.put(key, {}, ANSWER)
    assert repr(key) in str(caught.value)
    with pytest.raises(ArtefactError, match="is no request key"):
        store.get(key)
    assert files(store) == []


def test_answers_are_spread_over_folders(store: RequestStore) -> None:
    assert store.path(KEY) == store.folder / KEY[:2] / f"{KEY}.json"
