"""Faults of the endpoint and of the disk."""

from __future__ import annotations

import pytest

from hypermix.llm.batch.records import BatchRecord, BatchRecords
from hypermix.llm.store import Answer
from tests.batch_server import KEY, BatchServer, End
from tests.integration.llm.batch.conftest import Clock, Job, Purse, asked, batch_id, only


@pytest.mark.parametrize("fault", ["after reset", "after html", "after 500", "after 408", "reset", 500, 429, "html"])
def test_batch_without_a_clear_answer_is_searched_for(server: BatchServer, job: Job, fault: int | str) -> None:
    server.faults["create"] = [fault]
    some = asked(server, 3)
    assert len(job.run(some)) == 3
    assert set(server.asked().values()) == {1}
    assert server.counts["create"] == (1 if "after" in str(fault) else 2)
    assert server.counts["list"] >= 1
    assert server.counts["upload"] == 1


def test_batch_that_comes_late_to_the_list_is_found(server: BatchServer, job: Job) -> None:
    server.faults["create"] = ["after reset"]
    server.hidden = 4
    assert len(job.run(asked(server, 3))) == 3
    assert server.counts["create"] == 1
    assert job.clock.slept[:4] == [5.0] * 4


def test_batch_is_found_on_a_later_page(server: BatchServer, job: Job) -> None:
    server.page = 2
    server.faults["create"] = ["after reset"]

    def add_others(kind: str, when: str) -> None:
        if (kind, when) == ("create", "after"):
            others = {f"other_{n}": {**server.batches["batch_1"], "id": f"other_{n}"} for n in range(5)}
            for number, other in enumerate(others.values()):
                other["metadata"] = [None, {}, {"hypermix": "x"}][number % 3]
            server.batches.update(others)

    server.event = add_others
    assert len(job.run(asked(server, 3))) == 3
    assert server.counts["create"] == 1
    assert server.counts["list"] == 3


def test_endpoint_that_never_says_ends_the_job(server: BatchServer, job: Job) -> None:
    server.faults["create"] = [500] * 9
    purse = Purse()
    found = only(job.run(asked(server, 2), tries=3, ledger=purse))
    assert (found.fatal, found.unsent) == (True, False)
    assert server.counts["create"] == 3
    assert len(purse.held) == 2  # there may be a batch
    assert [record["state"] for record in job.records()] == ["submitting"]
    server.faults.clear()
    assert len(job.run(asked(server, 2))) == 2
    assert job.records() == []


@pytest.mark.parametrize(
    ("fault", "word"),
    [(401, "set a key"), (403, "the right"), (404, "Batch API"), (413, "lower"), ("quota", "top up"), (400, "see to")],
)
@pytest.mark.parametrize("kind", ["upload", "create"])
def test_refused_batch_is_fatal_and_free(
    server: BatchServer, job: Job, kind: str, fault: int | str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[kind] = [fault] * 9
    purse = Purse()
    found = only(job.run(asked(server, 2), ledger=purse))
    assert (found.fatal, found.unsent, found.unknown) == (True, True, 0)
    assert word in str(found.error)
    assert KEY not in str(found.error) + caplog.text
    assert found.error.__cause__ is None
    assert purse.held == {}
    assert job.records() == []
    assert server.batches == {}


def test_upload_and_looks_are_repeated(server: BatchServer, job: Job) -> None:
    server.faults = {"upload": [500, "html"], "look": [503, 429], "content": [500, "cut"]}
    assert "no clear answer" in str(only(job.run(asked(server, 3))).error)  # HTML is no answer to repeat
    server.faults["upload"] = [500]
    assert len(job.run(asked(server, 3))) == 3
    assert set(server.asked().values()) == {1}


def test_outage_is_waited_for(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.faults["look"] = [500] * 40  # ten looks
    found = job.run(asked(server, 1))
    assert [type(result) for result in found.values()] == [Answer]
    assert len(job.clock.slept) == 10
    assert "goes on" in caplog.text


@pytest.mark.parametrize(("fault", "word"), [(500, "no clear answer|refused"), (401, "set a key"), (404, "delete")])
def test_batch_that_cannot_be_looked_at_keeps_its_record(server: BatchServer, job: Job, fault: int, word: str) -> None:
    server.faults["look"] = [fault] * 999
    some = asked(server, 2)
    purse = Purse()
    found = only(job.run(some, ledger=purse, timing=job.clock.timing(poll=900)))
    assert found.fatal
    assert any(part in str(found.error) for part in word.split("|"))
    assert KEY not in str(found.error)
    assert len(purse.held) == 2
    assert [batch_id(record) for record in job.records()] == ["batch_1"]
    server.faults.clear()
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}
    assert job.records() == []


def test_download_that_breaks_off_is_paid_for_once(server: BatchServer, job: Job) -> None:
    server.faults["content"] = ["cut"] * 4
    some = asked(server, 3)
    found = only(job.run(some))
    assert "download" in str(found.error)
    assert len(job.records()) == 1
    server.faults["content"] = ["cut", "cut"]
    assert len(job.run(some)) == 3
    assert set(server.asked().values()) == {1}


def test_lost_file_of_answers_is_asked_again(server: BatchServer, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    server.faults["content"] = [404]
    found = job.run(asked(server, 2))
    assert [result.unknown for result in found.values()] == [1, 1]
    assert set(server.asked().values()) == {2}
    assert "is gone" in caplog.text


def test_full_disk_keeps_the_batch(server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    some = asked(server, 2)
    with monkeypatch.context() as patch:
        patch.setattr("hypermix.llm.batch.backend.tempfile.TemporaryFile", full)
        found = only(job.run(some))
    assert "No space left" in str(found.error)
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}


@pytest.mark.parametrize("written", [0, 1])
def test_record_that_cannot_be_written_sends_nothing(
    server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    write = BatchRecords.write
    calls = iter(range(9))

    def fail(records: BatchRecords, record: BatchRecord) -> None:
        if next(calls) >= written:
            raise OSError(28, "No space left on device")
        write(records, record)

    monkeypatch.setattr(BatchRecords, "write", fail)
    purse = Purse()
    found = only(job.run(asked(server, 2), ledger=purse))
    assert (found.fatal, found.unsent) == (True, True)
    assert server.batches == {}
    assert (purse.held, job.records()) == ({}, [])


def test_id_that_cannot_be_written_is_found_again(
    server: BatchServer, job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = BatchRecords.write

    def fail(records: BatchRecords, record: BatchRecord) -> None:
        if record.batch:
            raise OSError(28, "No space left on device")
        write(records, record)

    server.ends = [End(looks=1)]
    some = asked(server, 2)
    with monkeypatch.context() as patch:
        patch.setattr(BatchRecords, "write", fail)
        backend = job.open(timing=Clock(interrupt=True).timing())
        with pytest.raises(KeyboardInterrupt):
            job.ask(backend, some)
        backend.close()
    assert "found again by metadata" in caplog.text
    assert [record["state"] for record in job.records()] == ["submitting"]
    assert len(job.run(some)) == 2
    assert set(server.asked().values()) == {1}
