"""A request, its answer, and what tests do with the store of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from hypermix.errors import LlmError
from hypermix.llm.claim import Claim
from hypermix.llm.store import Answer, Question, Record, RequestStore, request_key

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
IDENTITY = {"model_sha256": "ab" * 32}
PATH = "/v1/completions"
BODY = {"model": "m", "prompt": "It was", "seed": 7, "temperature": 1.0, "stop": ["\n"], "logprobs": 20}
QUESTION = Question(IDENTITY, PATH, BODY, "42-0-0")
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


def put(store: RequestStore, response: str = ANSWER, question: Question = QUESTION) -> Record:
    return store.put(Record(question, Answer(response)))


def response_of(store: RequestStore, key: str = KEY) -> str | None:
    found = store.get(key)
    return None if found is None else found.answer.response


def fetch(store: RequestStore, send: Callable[[], Answer], question: Question = QUESTION) -> tuple[Record, bool]:
    """Return what is stored, or send the request, as a client does; tell whether it was sent."""
    found = store.begin(question)
    if isinstance(found, Record):
        return found, False
    try:
        answer = send()
    except LlmError:
        with found:
            found.withdraw()
        raise
    except BaseException:
        with found:
            raise
    return store.finish(found, question, answer), True


def claim(store: RequestStore) -> Claim:
    found = store.begin(QUESTION)
    assert isinstance(found, Claim)
    return found


def damage(store: RequestStore, change: Callable[[bytes], bytes]) -> None:
    path = store.path(KEY)
    path.write_bytes(change(path.read_bytes()))
