from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.errors import ArtefactError, LlmError
from hypermix.llm.claim import Claim
from hypermix.llm.store import Answer, Question, Record, RequestStore, request_key
from tests.integration.llm.anything import HEADERS, SETTINGS, TEXTS
from tests.integration.llm.storing import (
    ANSWER,
    BODY,
    IDENTITY,
    KEY,
    PATH,
    QUESTION,
    STEADY,
    as_json,
    claim,
    damage,
    fetch,
    files,
    put,
    response_of,
)

# Putting and getting.


def test_stored_answer_comes_back(store: RequestStore) -> None:
    record = Record(QUESTION, Answer(ANSWER, {"x-request-id": "r1"}, unknown=2))
    assert store.put(record) == record
    assert store.get(KEY) == record


@STEADY
@given(answer=TEXTS, headers=HEADERS, body=SETTINGS)
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, answer: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    store = RequestStore(tmp_path_factory.mktemp("any"))
    record = Record(Question(IDENTITY, PATH, body, "0"), Answer(answer, headers))
    store.put(record)
    found = store.get(record.question.key)
    assert found == record
    assert as_json(found.question.body) == as_json(body)


def test_unknown_key_gives_nothing(store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    assert store.get(KEY) is None
    assert not store.folder.exists()
    assert not caplog.records


def test_first_answer_stays(store: RequestStore) -> None:
    put(store, "one")
    assert put(store, "two").answer.response == "one"
    assert response_of(store) == "one"
    assert files(store) == [store.path(KEY)]


def test_file_tells_people_the_request(store: RequestStore) -> None:
    store.put(Record(QUESTION, Answer(ANSWER, {"date": "today"}, 1)))
    record = json.loads(gzip.decompress(store.path(KEY).read_bytes()))
    assert record == {
        "key": KEY,
        "request": {"identity": IDENTITY, "path": PATH, "body": BODY, "sample": "42-0-0"},
        "response": ANSWER,
        "response_sha256": hashlib.sha256(ANSWER.encode()).hexdigest(),
        "headers": {"date": "today"},
        "unknown": 1,
    }


def test_equal_answers_give_equal_bytes(tmp_path: Path) -> None:
    stores = [RequestStore(tmp_path / name) for name in "ab"]
    put(stores[0])
    time.sleep(1.1)  # gzip has a time in whole seconds
    put(stores[1])
    one, other = (store.path(KEY).read_bytes() for store in stores)
    assert one == other
    assert len(one) < 2 * len(ANSWER) + 400


def test_failed_write_leaves_nothing(store: RequestStore) -> None:
    with pytest.raises(TypeError):
        store.put(Record(QUESTION, Answer(ANSWER, {"x": object()})))  # type: ignore[dict-item]
    assert files(store) == []


def test_keys_are_sorted_and_nothing_else(store: RequestStore) -> None:
    questions = [Question(IDENTITY, PATH, BODY, str(sample)) for sample in range(30)]
    for question in questions:
        put(store, question=question)
    for name in ("readme.txt", f"{KEY[:2]}/x.json.gz", f"{KEY[:2]}/{KEY}.started", f"zz/{KEY}.json.gz"):
        path = store.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert list(store.keys()) == sorted(question.key for question in questions)


def test_file_that_cannot_be_read_is_not_paid_again(store: RequestStore) -> None:
    store.path(KEY).mkdir(parents=True)
    with pytest.raises(ArtefactError, match="cannot be read: Is a directory; mend this, so that the request is not"):
        fetch(store, lambda: pytest.fail("it was sent"))


# Damage.

DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: content[:-1],
    lambda content: b"\x00" * len(content),
    gzip.decompress,
    *(
        lambda content, change=change: gzip.compress(change(gzip.decompress(content)))
        for change in (
            lambda text: b"",
            lambda text: text[:-1],
            lambda text: text.replace(b"sch", b"Sch"),
            lambda text: text.replace(b"It was", b"It is"),
            lambda text: text.replace(b"\xc3\xb6", b"\xff\xff"),
            lambda text: text.replace(KEY.encode(), KEY[::-1].encode()),
            lambda text: text.replace(b'"headers":{}', b'"headers":[]'),
            lambda text: text.replace(b'"unknown":0', b'"unknown":null'),
            lambda text: b"[]",
            lambda text: b"null",
            lambda text: b'{"key": "x"}',
        )
    ),
]


@pytest.mark.parametrize("change", DAMAGES)
def test_damaged_file_is_told_and_unread(
    store: RequestStore, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    put(store)
    damage(store, change)
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert caplog.messages == [f"{store.path(KEY)}: is damaged and counts as missing"]


@STEADY
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_flipped_byte_never_gives_another_answer(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    store = RequestStore(tmp_path_factory.mktemp("flipped"))
    put(store)

    def change(content: bytes) -> bytes:
        at = position % len(content)
        return content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]

    damage(store, change)
    assert response_of(store) in {None, ANSWER}


def test_answer_under_another_key_is_unread(store: RequestStore) -> None:
    other = request_key(IDENTITY, PATH, BODY, "42-1-0")
    put(store)
    store.path(other).parent.mkdir(parents=True, exist_ok=True)
    store.path(other).write_bytes(store.path(KEY).read_bytes())
    assert store.get(other) is None


def test_damaged_file_takes_new_answer(store: RequestStore, caplog: pytest.LogCaptureFixture) -> None:
    put(store, "old")
    damage(store, lambda content: content[:10])
    record, sent = fetch(store, lambda: Answer("new"))
    assert (record.answer, sent) == (Answer("new"), True)
    assert response_of(store) == "new"
    assert files(store) == [store.path(KEY)]
    assert len(caplog.messages) == 1


# Many writers.

WRITER = """
import sys
from pathlib import Path
from hypermix.llm.store import Answer, Question, Record, RequestStore
store, letter = RequestStore(Path(sys.argv[1])), sys.argv[2]
for sample in range(40):
    question = Question({}, "/", {}, str(sample))
    store.put(Record(question, Answer(letter * 20_000)))
    assert store.get(question.key).answer.response in {"a" * 20_000, "b" * 20_000}, "a part was read"
"""


def run(code: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stderr=subprocess.PIPE, text=True)


def test_two_writers_leave_whole_files(store: RequestStore) -> None:
    writers = [run(WRITER, str(store.folder), letter) for letter in "ab"]
    assert [(writer.communicate(timeout=60)[1], writer.returncode) for writer in writers] == [("", 0), ("", 0)]
    assert len(files(store)) == 40
    assert all(map(store.get, store.keys()))


# Fetching.


def test_sent_once_and_stored(store: RequestStore) -> None:
    assert fetch(store, lambda: Answer(ANSWER)) == (Record(QUESTION, Answer(ANSWER)), True)
    assert fetch(store, lambda: pytest.fail("it was sent")) == (Record(QUESTION, Answer(ANSWER)), False)
    assert files(store) == [store.path(KEY)]


def raise_error(error: BaseException) -> Answer:
    raise error


def test_failure_that_cost_nothing_leaves_nothing(store: RequestStore) -> None:
    with pytest.raises(LlmError, match="no"):
        fetch(store, lambda: raise_error(LlmError("no")))
    assert files(store) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()], ids=repr)
def test_failure_that_perhaps_cost_is_counted(store: RequestStore, error: BaseException) -> None:
    for _ in range(2):
        with pytest.raises(type(error)):
            fetch(store, lambda: raise_error(error))
    with pytest.raises(LlmError, match="refused"):
        fetch(store, lambda: raise_error(LlmError("refused")))
    record, sent = fetch(store, lambda: Answer(ANSWER, unknown=1))
    assert (record.answer.unknown, sent) == (3, True)
    assert files(store) == [store.path(KEY)]
    assert fetch(store, lambda: pytest.fail("it was sent")) == (record, False)


def test_answer_stays_the_first_one(store: RequestStore) -> None:
    held = claim(store)
    put(store, "of somebody whose claim had expired")
    record = store.finish(held, QUESTION, Answer("mine"))
    assert record.answer.response == "of somebody whose claim had expired"
    assert files(store) == [store.path(KEY)]


def test_lost_requests_before_it_are_counted_with_an_answer(store: RequestStore) -> None:
    for count in (1, 3):
        with claim(store) as held:
            held.lose(count)
    record = store.finish(claim(store), QUESTION, Answer(ANSWER, unknown=2))
    assert record.answer.unknown == 1 + 3 + 2
    assert store.get(KEY) == record


@pytest.mark.parametrize(("direct", "unknown"), [(False, 0), (True, 1)])
def test_request_that_a_batch_finds_again_is_not_counted_and_a_direct_one_is(
    store: RequestStore, direct: bool, unknown: int
) -> None:
    lost = store.begin(QUESTION, remembers=not direct)
    assert isinstance(lost, Claim)
    lost.leave()
    found = store.begin(QUESTION, remembers=True)
    assert isinstance(found, Claim)
    assert store.finish(found, QUESTION, Answer(ANSWER)).answer.unknown == unknown


def test_wait_for_somebody_else_is_given_up_by_its_pause(store: RequestStore) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 5:
            raise LlmError("the job ends")

    with claim(store) as held:
        with pytest.raises(LlmError, match="the job ends"):
            store.begin(QUESTION, pause)
        assert pauses == sorted(pauses)
        held.withdraw()
    assert files(store) == []


def test_wait_for_somebody_else_ends_with_the_answer(store: RequestStore) -> None:
    held = claim(store)

    def answer(_: float) -> None:
        store.finish(held, QUESTION, Answer(ANSWER))

    found = store.begin(QUESTION, answer)
    assert isinstance(found, Record)
    assert found.answer.response == ANSWER


def test_answer_that_comes_between_two_looks_is_no_damage(
    store: RequestStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process stores it after the first look.
    look = RequestStore._look
    late = [True]

    def look_late(one: RequestStore, key: str) -> Record | None:
        found = look(one, key)
        if late.pop() if late else False:
            put(store)
        return found

    monkeypatch.setattr(RequestStore, "_look", look_late)
    assert response_of(store) == ANSWER
    assert not caplog.records


# Hostile keys.


@pytest.mark.parametrize(
    "key", ["", "../../secret", "/etc/passwd", "..", KEY[:-1], KEY.upper(), f"{KEY}\n", f"{KEY}/..", "a\0" * 32]
)
def test_hostile_key_never_leaves_the_folder(store: RequestStore, key: str) -> None:
    for use in (store.path, store.get):
        with pytest.raises(ArtefactError, match="is no request key; 64 hexadecimal digits are wanted") as caught:
            use(key)
        assert repr(key) in str(caught.value)
    assert files(store) == []


def test_answers_are_spread_over_folders(store: RequestStore) -> None:
    assert store.path(KEY) == store.folder / KEY[:2] / f"{KEY}.json.gz"
