"""Archives that somebody else made: nothing of them is trusted."""

from __future__ import annotations

import hashlib
import json
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypermix.errors import ArtefactError
from hypermix.llm.archive import SCHEMA
from hypermix.steps.archive.unpack import compare, unpack
from hypermix.steps.archive.zipped import FORMAT, MANIFEST, open_archive, write_archive

GOOD = {"data/train.csv": b"text,label\n", "study/verdict.json": b"{}"}


def listed(members: Mapping[str, bytes]) -> dict[str, Any]:
    """List members as a manifest does."""
    return {name: {"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for name, part in members.items()}


def pack(path: Path, members: Mapping[str, bytes], manifest: object = None, **rights: int) -> Path:
    """Write a zip file by hand, as somebody could who means harm."""
    told = {"format": FORMAT, "files": listed(members)} if manifest is None else manifest
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {**members, MANIFEST: json.dumps(told).encode()}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = rights.get("kind", stat.S_IFREG) << 16
            file.writestr(info, content)
    return path


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_equal_members_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"a,b\n" * 5000)
    members: dict[str, Path | bytes] = {"b.csv": tmp_path / "b.csv", "a/c": b"x"}
    size = write_archive(tmp_path / "one.zip", members, {"runs": 1})
    (tmp_path / "b.csv").touch()
    write_archive(tmp_path / "two.zip", dict(reversed(members.items())), {"runs": 1})
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert size == (tmp_path / "one.zip").stat().st_size < 2000
    made = unpack(tmp_path / "one.zip", tmp_path / "new")
    assert (tmp_path / "new" / "b.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert made.files == 3
    assert json.loads((tmp_path / "new" / MANIFEST).read_text())["runs"] == 1


def test_a_member_that_cannot_be_read_is_told_and_not_the_archive(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()  # opened as a file, it is an error for root too
    with pytest.raises(ArtefactError, match=r"weights: cannot be read: Is a directory; see to the file"):
        write_archive(tmp_path / "one.zip", {"weights": tmp_path / "weights"}, {})
    assert everything(tmp_path) == ["weights"]


@pytest.mark.parametrize(
    "name",
    ["../evil", "/evil", "a/../../evil", "a//b", "./a", "a\\..\\evil", "C:evil", "a/\n", "..", "a/", "x" * 300],
)
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    bad = pack(tmp_path / "bad.zip", {**GOOD, name: b"x"})
    with pytest.raises(ArtefactError, match=r"bad\.zip: holds .* which is no place in a folder"):
        unpack(bad, tmp_path / "in" / "new")
    assert everything(tmp_path) in (["bad.zip"], ["bad.zip", "in"])


def test_a_second_name_is_not_taken(tmp_path: Path) -> None:
    path, name, other = tmp_path / "two.zip", "data/train.csv", b"../../evil"
    info = zipfile.ZipInfo(name)
    # The Unicode name of Info-ZIP, which newer versions of Python take in the place of the first.
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(other), 1, zlib.crc32(name.encode())) + other
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, b"x")
        file.writestr(MANIFEST, json.dumps({"format": FORMAT, "files": listed({name: b"x"})}))
    unpack(path, tmp_path / "in" / "new")
    assert set(everything(tmp_path)) >= {"two.zip", "in/new/data/train.csv"}
    assert not [found for found in everything(tmp_path) if "evil" in found]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"text,label") + 2] ^= 1
    path.write_bytes(content)


def replace(path: Path) -> None:
    path.write_bytes(b"no zip file at all")


def encrypt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(sign) + offset] |= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, replace, encrypt])
def test_damage_is_told_in_one_sentence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damaged = pack(tmp_path / "bad.zip", GOOD)
    damage(damaged)
    with pytest.raises(ArtefactError, match=r"bad\.zip: .*it is damaged or was not written by") as caught:
        unpack(damaged, tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == ["bad.zip"]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({"format": FORMAT, "files": listed({"data/train.csv": GOOD["data/train.csv"]})}, "does not hold the files"),
        ({"format": FORMAT, "files": listed({**GOOD, "study/verdict.json": b"[]"})}, "study/verdict.json is not what"),
        (
            {"format": FORMAT, "files": listed({**GOOD, "study/verdict.json": b"long"})},
            "study/verdict.json is not what",
        ),
        ({"format": FORMAT, "files": dict.fromkeys(GOOD, 1)}, "is not what"),
        ({"format": FORMAT}, "does not hold the files"),
        ({"format": 2, "files": listed(GOOD)}, "is of format 2"),
        ([1], "is of format None"),
    ],
)
def test_what_the_list_does_not_say_is_refused(tmp_path: Path, manifest: object, told: str) -> None:
    bad = pack(tmp_path / "bad.zip", GOOD, manifest)
    with pytest.raises(ArtefactError, match=told):
        unpack(bad, tmp_path / "new")
    assert everything(tmp_path) == ["bad.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    bad = pack(tmp_path / "bad.zip", {**GOOD, "link": b"/etc"}, kind=stat.S_IFLNK)
    with pytest.raises(ArtefactError, match="is a link, encrypted or packed in another way"):
        unpack(bad, tmp_path / "new")


def test_sizes_near_the_short_form_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    content = random.Random(1).randbytes(9_999)  # deflated it takes a few bytes more
    write_archive(tmp_path / "one.zip", {"weights": content}, {})
    with open_archive(tmp_path / "one.zip") as archive:
        archive.copy("weights", tmp_path / "weights")
    assert (tmp_path / "weights").read_bytes() == content


def test_a_zip_bomb_is_refused_before_a_byte_is_unpacked(tmp_path: Path) -> None:
    size = 50 * 10**6
    write_archive(tmp_path / "bomb.zip", {"zeros": bytes(size)}, {})
    assert (tmp_path / "bomb.zip").stat().st_size < size / 500
    with pytest.raises(ArtefactError, match=r"bomb\.zip: unpacks to 0\.1 GB, and at most 0\.01 GB are allowed"):
        unpack(tmp_path / "bomb.zip", tmp_path / "new", most_bytes=10**7)
    assert everything(tmp_path) == ["bomb.zip"]


def test_a_bomb_that_lies_of_its_size_writes_no_more_than_it_says(tmp_path: Path) -> None:
    members = {"zeros": bytes(10**6)}
    path = pack(tmp_path / "bomb.zip", members)
    content = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = content.index(sign) + offset
        content[start : start + 4] = (5).to_bytes(4, "little")
    told = json.dumps({"format": FORMAT, "files": listed(members)}).encode()
    content[content.index(told) : content.index(told) + len(told)] = told.replace(b"1000000", b"5      ")
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged"):
        unpack(path, tmp_path / "new")
    assert everything(tmp_path) == ["bomb.zip"]


def test_damaged_answers_are_refused(tmp_path: Path) -> None:
    row = {"key": "a" * 64, "identity": "{}", "path": "/v1", "body": "{}", "sample": "", "response": "{}"}
    rows = [{**row, "response_sha256": "b", "headers": "{}", "unknown": 0}]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / "answers.parquet")
    write_archive(tmp_path / "bad.zip", {"answers.parquet": tmp_path / "answers.parquet"}, {})
    with pytest.raises(ArtefactError, match="1 of its stored answers are not what their checksums say"):
        unpack(tmp_path / "bad.zip", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_full_folder_stays_as_it_is(tmp_path: Path) -> None:
    good = pack(tmp_path / "good.zip", GOOD)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(ArtefactError, match=r"full: is not empty, or .*; name a folder that is not there yet"):
        unpack(good, tmp_path / "full")
    assert everything(tmp_path / "full") == ["mine"]
    (tmp_path / "empty").mkdir()
    assert unpack(good, tmp_path / "empty").files == 3
    with pytest.raises(ArtefactError, match=r"\.: is not empty, or the working folder; name"):
        unpack(good, Path())


def test_a_foreign_program_is_told(tmp_path: Path) -> None:
    needed = [{"for": "quality.model", "name": "some/model\x1b[2J", "why": "models are large"}, {"for": 1}, "x"]
    program = ("GNUmakefile", "Snakefile", ".git/config", "data/sitecustomize.py", "snakefile", "workflow/evil.smk")
    members = {**dict.fromkeys(program, b""), "data/rows.csv": b""}
    manifest = {"format": FORMAT, "hypermix": "9\x1b[0m", "needed": needed, "files": listed(members)}
    told = unpack(pack(tmp_path / "bad.zip", members, manifest), tmp_path / "new").notices
    assert told[0].startswith("It was made with HyperMix 9 [0m, and this is ")
    assert "6 of its program's files are not those of this HyperMix (.git/config, GNUmakefile, " in told[1]
    assert told[2:] == ["Must be at hand: quality.model: some/model [2J; models are large"]


def test_results_that_would_not_be_made_again_are_told(tmp_path: Path) -> None:
    prepared = {"results/prepare/dataset=a/train.parquet": b""}
    assert unpack(pack(tmp_path / "good.zip", {**GOOD, **prepared}), tmp_path / "good").notices[1:] == []
    planted = {"results/aggregate/report.html": b"", "results/train/predictions.parquet": b""}
    told = unpack(pack(tmp_path / "bad.zip", {**GOOD, **planted}), tmp_path / "bad").notices
    assert len(told) == 2  # the other version, as above
    assert told[1].startswith("2 results are in it ready-made (results/aggregate/report.html)")


def test_the_workflow_need_not_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site" / "hypermix"
    installed.mkdir(parents=True)
    monkeypatch.setattr("hypermix.__file__", str(installed / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    made = unpack(pack(tmp_path / "good.zip", {**GOOD, "Snakefile": b""}), tmp_path / "new")
    assert made.files == 4
    assert "1 of its program's files are not those of this HyperMix (Snakefile)" in made.notices[-1]


def test_compare_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="run this where one was unpacked"):
        compare(tmp_path)
    unpack(pack(tmp_path / "good.zip", GOOD), tmp_path / "new")
    with pytest.raises(ArtefactError, match="was not run again here yet; run snakemake"):
        compare(tmp_path / "new")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(ArtefactError, match=r"none\.zip: cannot be unpacked: No such file or directory"),
        open_archive(tmp_path / "none.zip"),
    ):
        pass
