"""Artefacts on a disk that is full, and in a folder that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

WRITE = """
import random, resource, sys
from pathlib import Path
import pyarrow as pa
from hypermix import tables
from hypermix.errors import ArtefactError
from hypermix.disk import check_folder
from hypermix.files import write_batches, write_table, write_text
folder, most = Path(sys.argv[1]), int(sys.argv[2])
if most:  # a limit of the process, where a small disk may not be mounted
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
noise = random.Random(1).randbytes(200_000).hex()
columns = {name: pa.array([noise] * 3, pa.string()) for name in ("id", "text", "label")}
rows = pa.Table.from_arrays([column.cast(tables.schema("train").field(name).type) for name, column in columns.items()],
                            schema=tables.schema("train"))
writers = {
    "table.parquet": lambda path: write_table(path, rows, {}),
    "batches.parquet": lambda path: write_batches(path, "train", rows.to_batches(), {}),
    "text.json": lambda path: write_text(path, noise),
    "": lambda path: check_folder(folder / "new"),
}
for name, write in writers.items():
    try:
        write(folder / name)
        print("written")
    except ArtefactError as error:
        print(error)
"""


def use(folder: Path, most: int, *wall: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*wall, sys.executable, "-c", WRITE, str(folder), str(most)]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def mount(folder: Path, *options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    return bool(shutil.which("mount")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Return a folder on a disk of 64 kB, or, where none may be mounted, any folder and a limit on a file's bytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = mount(folder, "size=64k")
    yield folder, 0 if mounted else 64_000
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_no_part_of_a_file(small_disk: tuple[Path, int]) -> None:
    folder, most = small_disk
    (folder / "text.json").write_text("old", encoding="utf-8")
    reason = "File too large" if most else "No space left on device"
    *told, last = use(folder, most)
    assert told == [
        f"{folder}: {name} cannot be written: {reason}; make room there, and run again: what is finished stays"
        for name in ("table.parquet", "batches.parquet", "text.json")
    ]
    assert last == "written"  # there is room for a byte
    assert sorted(path.name for path in folder.rglob("*")) == ["new", "text.json"]
    assert (folder / "text.json").read_text(encoding="utf-8") == "old"


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that cannot be written, by anybody: root does not ask for rights."""
    folder = tmp_path / "closed"
    folder.mkdir()
    mounted = mount(folder, "ro")
    if not mounted:
        folder.chmod(0o555)
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_cannot_be_written_is_named(closed_folder: Path) -> None:
    told = use(closed_folder, 0)
    assert len(told) == 4
    for line, name in zip(told[:3], ("table.parquet", "batches.parquet", "text.json"), strict=True):
        assert line.startswith(f"{closed_folder}: {name} cannot be written: ")
        assert line.endswith(
            "; let it be written, or name another folder in the config, and run again: what is finished stays"
        )
    assert told[3].startswith(f"{closed_folder}/new: ")
    assert list(closed_folder.iterdir()) == []
