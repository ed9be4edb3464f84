"""What the engine's own code writes about its jobs is read as it means it."""

from __future__ import annotations

from pathlib import Path

import pytest
from snakemake.persistence import MetadataRecord  # type: ignore[import-untyped]
from snakemake.persistence.file import FilePersistence  # type: ignore[import-untyped]

from hypermix.steps.engine import recorded_digest, unfinished_files

SHORT = "results/train/ä=1/out.parquet"
LONG = "/".join(f"key_{number}=the-name-of-a-variant" for number in range(30)) + "/out.parquet"
SHA = "ab" * 32


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilePersistence:
    monkeypatch.chdir(tmp_path)
    return FilePersistence(path=Path(".snakemake"))


def write(engine: FilePersistence, output: str, checksums: dict[str, str]) -> None:
    engine._write_record(output, MetadataRecord(rule="train", input_checksums=checksums))


@pytest.mark.parametrize("output", [SHORT, LONG])
def test_checksums_of_inputs_are_found(engine: FilePersistence, output: str) -> None:
    write(engine, output, {"bert/model.safetensors": f"sha256:{SHA}"})

    assert recorded_digest([output], "bert/model.safetensors") == SHA
    assert recorded_digest(["elsewhere", output], "bert/model.safetensors") == SHA
    assert recorded_digest([output], "bert/config.json") is None


def test_unknown_checksums_are_unknown(engine: FilePersistence) -> None:
    write(engine, SHORT, {"a": "md5:1234"})
    write(engine, LONG, {})
    assert recorded_digest([SHORT, LONG], "a") is None
    for record in Path(".snakemake", "metadata").rglob("*"):
        if record.is_file():
            record.write_text("[no json", encoding="utf-8")
    assert recorded_digest([SHORT, LONG], "a") is None


def test_outputs_that_were_not_finished_are_found(engine: FilePersistence) -> None:
    assert unfinished_files() == set()
    for output in (SHORT, LONG):
        engine._mark_incomplete(output, None)
    assert unfinished_files() == {SHORT, LONG}
    engine._unmark_incomplete(LONG)
    Path(".snakemake", "incomplete", "not base64, and nothing of an output").touch()
    assert unfinished_files() == {SHORT}


def test_without_a_run_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    assert unfinished_files() == set()
    assert recorded_digest([SHORT], "a") is None
