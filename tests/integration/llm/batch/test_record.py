"""The records of batches: what a later run finds."""

from __future__ import annotations

import errno
import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock._unix
import pytest

from hypermix.errors import LlmError
from hypermix.llm.batch.records import BatchRecord, BatchRecords
from hypermix.llm.store import Answer
from tests.batch_server import KEY, BatchServer, End, line, nothing
from tests.integration.llm.batch.conftest import Clock, Job, Purse, asked, batch_id, only


def test_record_is_on_the_disk_before_each_step(server: BatchServer, job: Job) -> None:
    seen: list[tuple[str, Any, Any, Any]] = []

    def look(kind: str, when: str) -> None:
        if when == "before":
            seen.extend((kind, told["state"], told["file"], told["batch"]) for told in job.records())

    server.event = look
    some = asked(server, 2)
    job.run(some)
    assert seen == [
        ("upload", "submitting", None, None),
        ("create", "submitting", "file-1", None),
        ("look", "sent", "file-1", "batch_1"),
        ("content", "sent", "file-1", "batch_1"),
    ]
    (batch,) = server.batches.values()
    assert batch["metadata"]["hypermix"] == BatchRecord("t", "u", tuple(q.key for q in reversed(some)), 0.0).digest


def test_record_stays_until_all_is_stored(server: BatchServer, job: Job) -> None:
    some = asked(server, 2)
    backend = job.open()
    for question in some:
        backend.submit(question)
    assert backend.collect() is not None
    assert backend.collect() is not None
    backend.close()  # as after a failure to store
    assert len(job.records()) == 1
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_record_of_a_lost_half_gives_that_half(server: BatchServer, job: Job) -> None:
    some = asked(server, 4)
    backend = job.open()
    for question in some:
        backend.submit(question)
    for _ in range(2):
        came = backend.collect()
        assert came is not None
        assert isinstance(came[1], Answer)
        job.kept[came[0].key] = came[1]
    backend.close()
    found = job.run(some)
    assert set(found) == {question.key for question in some[2:]}
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_ctrl_c_leaves_the_batch(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.ends = [End(looks=1)]
    some = asked(server, 3)
    purse = Purse()
    backend = job.open(timing=Clock(interrupt=True).timing(), ledger=purse)
    for question in some:
        backend.submit(question)
    with pytest.raises(KeyboardInterrupt):
        backend.collect()
    backend.close()
    assert caplog.text.count("goes on at the endpoint") == 1
    assert len(purse.held) == 3
    later = Purse()
    assert len(job.run(some, ledger=later)) == 3
    assert (later.held, later.paid) == ({}, [])  # set aside by the first run
    assert set(server.asked().values()) == {1}


def test_expired_rest_is_known_after_a_crash(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=lambda keys: [line(key) for key in keys[:1]]), End(looks=1)]
    some = asked(server, 3)
    clock = Clock(interrupt=True)
    backend = job.open(timing=clock.timing())
    for question in some:
        backend.submit(question)
    assert backend.collect() is not None  # not stored
    with pytest.raises(KeyboardInterrupt):
        backend.collect()
    assert len(job.records()) == 2
    found = job.run(some)
    assert len(found) == 3
    assert server.asked() == {some[0].key: 1, some[1].key: 2, some[2].key: 2}
    assert job.records() == []


def test_key_in_two_batches_waits_for_the_second(server: BatchServer, job: Job) -> None:
    # With one try a question of an expired batch would be refused, but another batch holds it.
    server.ends = [End("expired", answered=nothing), End(looks=1)]
    some = asked(server, 2)
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), some)
    assert len(server.batches) == 2
    assert all(isinstance(result, Answer) for result in job.run(some, tries=1).values())
    assert len(server.batches) == 2


def test_question_of_another_process_waits_for_its_batch(server: BatchServer, folder: Path) -> None:
    server.ends = [End(looks=2)]
    some = asked(server, 4)
    one, two = Job(server, folder), Job(server, folder)
    first, second = one.open(), two.open()
    for question in some[:3]:
        first.submit(question)
    first._take()
    first._send()
    found = two.ask(second, some[2:])
    assert set(found) == {some[2].key, some[3].key}
    found = one.ask(first, [])
    assert set(found) == {question.key for question in some[:3]}
    assert set(server.asked().values()) == {1}
    second.close()
    first.close()
    assert one.records() == []


def test_answer_that_was_stored_meanwhile_is_not_asked(server: BatchServer, job: Job) -> None:
    some = asked(server, 3)
    backend = job.open()
    for question in some:
        backend.submit(question)
    job.kept[some[0].key] = Answer('{"choices":[]}')
    found = {question.key: result for question, result in iter(backend.collect, None)}
    assert found[some[0].key] == Answer('{"choices":[]}')
    assert len(found) == 3
    assert set(server.asked()) == {some[1].key, some[2].key}
    backend.close()


def test_records_of_other_endpoints_are_left(server: BatchServer, job: Job) -> None:
    some = asked(server, 2)
    other = BatchRecord("0" * 16, "http://elsewhere/v1", (some[0].key,), time.time(), "file-9", "batch_9")
    BatchRecords(job.folder).write(other)
    (job.folder / "notes.json").write_text("mine", encoding="utf-8")
    assert len(job.run(some)) == 2
    assert BatchRecords(job.folder).read(other.base_url) == [other]


def test_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = BatchRecords(tmp_path)
    made = [BatchRecord.begin("u", [f"{number:064x}"]) for number in range(3)]
    made[1] = replace(made[1], file="f", batch="b/../\u2028x")
    for record in reversed(made):
        records.write(record)
    assert records.read("u") == sorted(made, key=lambda record: (record.started, record.token))
    assert "\u2028" not in made[1].shown
    assert len({record.token for record in made}) == 3
    records.drop(made[0])
    records.drop(made[0])
    assert len(records.read("u")) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"token": 1}', "flip"])
def test_damaged_record_stops_the_job(server: BatchServer, job: Job, content: str) -> None:
    some = asked(server, 1)
    record = BatchRecord.begin(server.base_url, [some[0].key])
    BatchRecords(job.folder).write(record)
    path = job.folder / f"{record.token}.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(some[0].key[:8], "00000000") if content == "flip" else content, encoding="utf-8")
    found = only(job.run(some))
    assert "is damaged" in str(found.error)
    assert (found.fatal, found.unsent) == (True, True)
    assert server.counts == {}


def test_folder_that_cannot_be_made_stops_the_job(server: BatchServer, job: Job) -> None:
    job.folder.write_text("a file", encoding="utf-8")
    found = only(job.run(asked(server, 1)))
    assert "cannot be locked" in str(found.error)
    assert server.counts == {}


@pytest.mark.parametrize("kind", ["folder", "link", "endless link", "link to a folder"])
def test_lock_that_is_no_file_is_told(tmp_path: Path, kind: str) -> None:
    lock = tmp_path / ".lock"
    targets = {"link": tmp_path / "elsewhere", "endless link": lock, "link to a folder": tmp_path}
    if kind == "folder":
        lock.mkdir()
    else:
        lock.symlink_to(targets[kind])
    with pytest.raises(LlmError, match=r"cannot be locked: .*; nothing was sent$"), BatchRecords(tmp_path).lock():
        pytest.fail("it was locked")


def test_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> bool:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", refuse)
    with pytest.raises(LlmError, match=r"cannot be locked: .*Function not implemented"), BatchRecords(tmp_path).lock():
        pytest.fail("it was locked")


def test_no_file_and_no_message_holds_the_key(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="hypermix")
    server.faults = {"create": [500, "reset", 401]}
    backend = job.open()
    found = only(job.ask(backend, asked(server, 2)))
    server.ends = [End(looks=1)]
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), asked(server, 2))
    kept = b"".join(path.read_bytes() for path in job.folder.iterdir())
    assert kept
    assert KEY not in kept.decode() + caplog.text + str(found.error) + repr(backend)
    backend.close()


def test_batch_whose_questions_another_answered_is_let_go(server: BatchServer, job: Job) -> None:
    server.ends = [End("expired", answered=lambda keys: [line(keys[0])]), End(looks=1)]
    some = asked(server, 2)
    with pytest.raises(KeyboardInterrupt):
        job.ask(job.open(timing=Clock(interrupt=True).timing()), some)
    (first, second) = sorted(job.records(), key=batch_id)
    server.sent["batch_1"] = End()
    server.batches["batch_1"].update(status="in_progress")
    assert len(job.run(some)) == 1  # the first was stored
    assert job.records() == []
    assert (first["batch"], second["keys"]) == ("batch_1", [some[1].key])


def test_completed_batch_without_files_is_looked_at_again(server: BatchServer, job: Job) -> None:
    looks = iter(range(99))

    def hide(kind: str, when: str) -> None:
        # The handler looks at the batch after this; the files come with the third look.
        batch = server.batches.get("batch_1")
        if (kind, when) == ("look", "before") and batch and next(looks) < 2:
            server.sent["batch_1"] = End(looks=99)
            batch.update(status="completed", request_counts={"total": 1, "completed": 1, "failed": 0})
        elif kind == "look" and when == "before" and batch:
            server.sent["batch_1"] = End()
            batch.update(status="in_progress")

    server.event = hide
    found = job.run(asked(server, 1))
    assert [type(result) for result in found.values()] == [Answer]
    assert len(job.clock.slept) == 2


def test_list_of_batches_is_read_no_further_than_the_record(server: BatchServer, job: Job) -> None:
    server.page = 2
    for number in range(9):
        server.batches[f"old_{number}"] = {
            "id": f"old_{number}",
            "object": "batch",
            "created_at": 1000 * number,
            "status": "completed",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "input_file_id": "file-0",
        }
    server.faults["create"] = [500]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchServer, "keys", lambda self, batch: [q.key for q in asked(server, 1)])
        assert len(job.run(asked(server, 1), timing=job.clock.timing(settling=0))) == 1
    assert server.counts["list"] == 1


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_record_that_is_no_file(server: BatchServer, job: Job, kind: str) -> None:
    job.folder.mkdir()
    path = job.folder / f"{'0' * 16}.json"
    if kind == "folder":
        path.mkdir()
        assert "cannot be read" in str(only(job.run(asked(server, 1))).error)
    else:
        path.symlink_to("nowhere")  # as where another process removes it
        assert len(job.run(asked(server, 1))) == 1
