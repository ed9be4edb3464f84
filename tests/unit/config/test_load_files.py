"""The files and URLs that a config names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hypermix.config.load import check_files, load_config
from hypermix.errors import ConfigError
from tests.unit.config.conftest import RAW, Change, mistakes, set_key


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "b/a.jsonl", "a.ndjson", "a.parquet", "a.b.csv.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("where", ["", "https://example.org/", "s3://bucket/"])
def test_a_suffix_tells_the_format(change: Change, name: str, where: str) -> None:
    query = "?download=1" if where.startswith("https") else ""
    path = f"{where}{name}{query}"

    assert load_config(change("datasets.mine.train", path)).datasets["mine"].model_dump()["train"] == path


@pytest.mark.parametrize("name", ["rows", "rows.txt", "rows.gz", "rows.csv.bz2", ".csv", "data.csv/rows", "ROWS.CSV"])
def test_format_takes_the_place_of_a_suffix(change: Change, name: str) -> None:
    raw = change("datasets.mine.train", name)
    (line,) = mistakes(raw)

    assert line.startswith(f"datasets.mine.train: {name!r} does not tell its format")
    assert load_config(set_key(raw, "datasets.mine.format", "csv")).datasets["mine"].model_dump()["format"] == "csv"


def test_each_file_without_a_format_is_a_mistake(raw: dict[str, Any]) -> None:
    raw["datasets"]["mine"] |= {"train": "a", "validation": "b.csv", "test": "c", "encoding": "no-such"}

    assert [line.split(":")[0] for line in mistakes(raw)] == [
        *("datasets.mine.encoding", "datasets.mine.train", "datasets.mine.test"),
    ]


def test_splits_of_the_hub_are_no_files(change: Change) -> None:
    config = load_config(change("datasets.tone", {"source": "hub", "path": "a/b", "train": "all", "test": "dev"}))

    assert config.datasets["tone"].model_dump()["train"] == "all"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "utf-16", "shift_jis"])
def test_encodings_have_pythons_names(change: Change, encoding: str) -> None:
    assert load_config(change("datasets.mine.encoding", encoding)).datasets["mine"].model_dump()["encoding"] == encoding


def missing(raw: dict[str, Any]) -> list[str]:
    """Return the lines on files that are not there."""
    try:
        check_files(load_config(raw))
    except ConfigError as error:
        first, *lines = str(error).splitlines()
        assert first.endswith("the folder that snakemake runs in:")
        return [line.strip() for line in lines]
    return []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/train.csv", "data/test.csv", "other.gguf", "openai-key"):
        (tmp_path / name).touch()
    return tmp_path


def files(**splits: str) -> dict[str, Any]:
    return set_key(RAW, "datasets.mine", {"source": "file", "train": "data/train.csv", **splits})


def test_files_that_are_there_are_fine(folder: Path) -> None:
    assert missing(files(test="data/test.csv")) == []
    assert missing(files(test=str(folder / "data" / "test.csv"))) == []


def test_a_model_in_the_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "data"))
    raw = set_key(files(), "llms.other.model", "~/../other.gguf")

    assert missing(raw) == []
    assert missing(set_key(raw, "llms.other.model", "~/none.gguf")) == ["llms.other.model: ~/none.gguf: no such file"]
    mix = {"method": "eda", "relabel": {"by": "classifier", "model": "~/here"}}
    raw = set_key(set_key(raw, "augmenters.changed", mix), "quality.model", "~/gone")
    (folder / "data" / "here").mkdir()
    assert missing(raw) == ["quality.model: ~/gone: no such file"]


def test_each_missing_file_is_told_with_the_nearest(folder: Path) -> None:
    (folder / "other.gguf").unlink()

    assert missing(files(train="data/trian.csv", validation="data/zzz.jsonl", test="dta/test.csv")) == [
        "datasets.mine.train: data/trian.csv: no such file; did you mean 'data/train.csv'?",
        "datasets.mine.validation: data/zzz.jsonl: no such file",
        "datasets.mine.test: dta/test.csv: no such file",
        "llms.other.model: other.gguf: no such file",
    ]


def test_a_near_name_in_the_folder_itself_is_told(folder: Path) -> None:
    assert missing(set_key(files(), "llms.other.model", "othr.gguf")) == [
        "llms.other.model: othr.gguf: no such file; did you mean 'other.gguf'?"
    ]


def test_a_missing_key_file_is_told_and_not_shown(folder: Path) -> None:
    assert missing(set_key(files(), "llms.cheap.key.file", "opnai-key")) == [
        "llms.cheap.key.file: no such file; did you mean 'openai-key'?"
    ]
    assert missing(set_key(files(), "llms.cheap.key.file", "sk-made-up" * 40)) == ["llms.cheap.key.file: no such file"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("augmenters.night", None),
        ("augmenters.night.llm", "local"),
        ("except", [{"augmenter": "night"}]),
        ("only", [{"augmenter": "none"}, {"augmenter": "mix", "dataset": "rt"}]),
    ],
)
def test_the_key_file_of_a_model_that_nothing_asks_may_be_missing(folder: Path, path: str, value: Any) -> None:
    (folder / "openai-key").unlink()
    assert missing(files()) == ["llms.cheap.key.file: no such file"]
    assert missing(set_key(files(), path, value)) == []


def test_a_key_in_the_environment_is_left_to_the_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNA_KEY", raising=False)

    assert missing(files()) == []


@pytest.mark.parametrize("model", ["gemma.gguf", "/models/gemma", "./x"])
def test_the_model_of_an_endpoint_is_no_file_of_this_machine(folder: Path, model: str) -> None:
    assert missing(set_key(files(), "llms.server.model", model)) == []


@pytest.mark.parametrize("model", ["./models/small", "/models/small"])
def test_the_folder_of_a_transformers_model_must_be_there(folder: Path, model: str) -> None:
    assert missing(set_key(files(), "llms.own.model", model)) == [f"llms.own.model: {model}: no such file"]


@pytest.mark.parametrize(
    "url",
    [
        "https://me:word@example.org/a.csv",
        "https://example.org/a.csv?token=word",
        "s3://bucket/a.csv?x=1&X-Amz-Signature=word",
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_shown(folder: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(files(train=url))
    assert "datasets.mine.train: the URL holds a password or a key" in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


def test_a_url_of_this_machine_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="wanted is the path alone"):
        load_config(files(train="file:///no/such/a.csv"))


@pytest.mark.parametrize("url", ["https://example.org/a.csv", "s3://bucket/a.csv", "https://example.org/a.csv?raw=1"])
def test_a_url_is_no_file_of_this_machine(folder: Path, url: str) -> None:
    assert missing(files(train=url, validation=url, test=url)) == []
