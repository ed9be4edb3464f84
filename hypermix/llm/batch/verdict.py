"""What the lines of a batch, and the end of a batch, mean. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from openai.types import Batch

from hypermix.errors import LlmError
from hypermix.llm.backend import Refusal
from hypermix.llm.batch.records import BatchRecord, Line, read_line
from hypermix.llm.store import Answer

EMPTY_ACCOUNT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
"""Codes that no waiting helps against."""

PASSING = {408, 409, 425, 429}
"""Statuses, beside those from 500 on, after which the same may be asked again."""

_FILTERED = {"content_filter", "content_policy_violation", "invalid_prompt", "moderation_blocked"}
_QUEUE_FULL = "token_limit_exceeded"
_GOOD, _BAD_REQUEST, _SERVER = 200, 400, 500
_LOG = logging.getLogger(__name__)

Shown = Callable[[object], str]
"""Words what a server said: short, in one line, without the key."""


@dataclass(frozen=True)
class Again:
    """A question is to be sent once more, and why."""

    reason: str


def read_answers(
    lines: Iterable[bytes], record: BatchRecord, waiting: Collection[str], shown: Shown
) -> Iterator[tuple[str, Answer | Refusal | Again]]:
    """Read a file of answers.

    Args:
        lines: Its lines, in any order.
        record: The batch.
        waiting: The keys that have no answer yet; it may shrink meanwhile.
        shown: Words what the server said.

    Yields:
        Keys that wait, and what came. Other lines are counted in one warning.
    """
    known = set(record.keys)
    malformed = foreign = repeated = 0
    for content in lines:
        line = read_line(content)
        if line is None:
            malformed += 1
        elif line.key not in known:
            foreign += 1
        elif line.key not in waiting:
            repeated += 1
        else:
            yield line.key, judge(line, shown)
    if malformed or foreign or repeated:
        told = "%s: of the answers %d lines are malformed, %d of no question of it, %d there twice; they are ignored"
        _LOG.warning(told, record.shown, malformed, foreign, repeated)


def judge(line: Line, shown: Shown) -> Answer | Refusal | Again:
    """Tell what a line means for its question."""
    if line.status == _GOOD and line.response is not None and not line.error:
        return Answer(line.response, {"x-request-id": line.request_id} if line.request_id else {})
    code, status = str(line.error.get("code")), line.status
    said = shown(line.error.get("message") or line.error.get("code") or "no reason")
    if code in EMPTY_ACCOUNT:
        return Refusal(LlmError(f"the account is empty: {said}; top it up and run again"))
    if status is None or status in PASSING or status >= _SERVER or status < _BAD_REQUEST:
        return Again(f"the endpoint says {said}" + (f" with status {status}" if status else ""))
    if status == _BAD_REQUEST and code in _FILTERED:
        error = LlmError(f"request {line.key} was refused by the endpoint's content policy: {said}")
        return Refusal(error, fatal=False, filtered=True)
    param = line.error.get("param")
    told = f"request {line.key} was refused with status {status}: {said}; change what it names and run again"
    return Refusal(LlmError(told), param=param if isinstance(param, str) else None)


def is_queue_full(batch: Batch) -> bool:
    """Tell whether a batch failed because too many tokens wait in the endpoint's queue."""
    return any(error.code == _QUEUE_FULL for error in (batch.errors and batch.errors.data) or [])


def failure(record: BatchRecord, batch: Batch, shown: Shown) -> Refusal:
    """Word why a batch failed as a whole: a bad model, a wrong file, an empty account."""
    errors = (batch.errors and batch.errors.data) or []
    told = errors[0] if errors else None
    said = shown((told and (told.message or told.code)) or "no reason")
    where = f" (line {told.line})" if told and isinstance(told.line, int) else ""
    error = LlmError(f"{record.shown} was refused by the endpoint: {said}{where}; change what it names and run again")
    return Refusal(error, param=told.param if told and isinstance(told.param, str) else None)
