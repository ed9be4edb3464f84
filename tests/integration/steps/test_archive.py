"""What goes into an archive, and what does not."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypermix.cli import main
from hypermix.config.load import load_config, merge
from hypermix.data.fetch import cached_file
from hypermix.errors import ArtefactError, ConfigError
from hypermix.files import write_table
from hypermix.hashing import file_digest
from hypermix.llm.secret import known_secrets
from hypermix.steps.archive.guard import Guard
from hypermix.steps.archive.material import Material, Wish, collect
from hypermix.steps.archive.source import is_program, program_files
from hypermix.steps.archive.write import describe
from tests.extending import install

SECRET = 'sk-planted/"Zq81-7Xk'
URL = "https://example.org/rows.csv"
CONFIG: dict[str, Any] = {
    "datasets": {"mine": {"source": "file", "train": "./data/train.csv", "test": "../test.csv"}},
    "subsample": {"train": ["2s"]},
    "seeds": {"data": [1], "trials": [7]},
    "augmenters": {"none": {"method": "none"}},
    "classifiers": {"tiny": {"method": "finetune", "model": "models/tiny"}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the user's files."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "models" / "tiny").mkdir(parents=True)
    for path in (folder / "data" / "train.csv", tmp_path / "test.csv"):
        path.write_text("text,label\n", encoding="utf-8")
    for name, size in (("config.json", 2), ("model.safetensors", 3000), ("code.py", 5)):
        (folder / "models" / "tiny" / name).write_bytes(b"x" * size)
    monkeypatch.chdir(folder)
    return folder


def find(wish: Wish | None = None, **overlay: Any) -> Material:
    return collect(load_config(merge(CONFIG, overlay)), {}, wish or Wish())


def test_own_files_go_in_and_what_lies_elsewhere_is_named(folder: Path) -> None:
    found = find()
    assert set(found.files) == {"data/train.csv", "models/tiny/config.json", "models/tiny/model.safetensors"}
    needs = {one["for"]: one for one in found.needed}
    assert set(needs) == {"datasets.mine.test", "quality.model"}
    assert needs["datasets.mine.test"]["sha256"] == file_digest(folder.parent / "test.csv")
    assert needs["quality.model"]["name"] == "package:minilm-l6"


def test_large_files_are_named(folder: Path) -> None:
    found = find(Wish(most_bytes=1000))
    assert "models/tiny/model.safetensors" not in found.files
    assert "it has 0 MB; --most-mb puts it in" in {one["why"] for one in found.needed}


def test_own_rows_can_be_left_out(folder: Path) -> None:
    found = find(Wish(without_data=["mine"]))
    assert not [name for name in found.files if name.startswith("data/")]
    assert [one["why"] for one in found.needed if one["for"] == "datasets.mine.train"] == ["it was left out"]
    with pytest.raises(ConfigError, match="--without-data min: is no key of datasets; did you mean 'mine'"):
        find(Wish(without_data=["min"]))


def test_what_a_package_brings_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder / "site", "hello_archived")
    monkeypatch.syspath_prepend(folder / "site")
    custom = {"method": "custom", "name": "hello"}
    found = find(
        Wish(without_data=["rt"]),
        datasets={"mine": None, "rt": {"source": "packaged"}},
        augmenters={"other": {**custom, "settings": {"rows": 2}}},
        classifiers={"tiny": None, "theirs": custom},
    )
    needs = {one["for"]: one for one in found.needed}
    assert needs["datasets.rt"]["why"] == "it was left out"
    assert {needs[where]["version"] for where in ("augmenters.other", "classifiers.theirs")} == {"hello-rows 1.2"}


def test_rows_of_others_go_in_when_asked(folder: Path) -> None:
    copy = cached_file(URL, Path("cache/downloads"))
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"text,label\n")
    hub = {"source": "hub", "path": "some/rows"}
    for table in ("train", "validation", "test", "groups", "profile"):
        path = Path(f"results/prepare/dataset=far/{table}.parquet")
        write_table(path, pa.table({"id": ["a"]}), {"inputs": {"some/rows": "c" * 40}})
    sources = {"mine": {"source": "file", "train": URL, "test": None}, "far": hub}
    left_out = find(datasets=sources)
    needs = {one["for"]: one for one in left_out.needed}
    assert needs["datasets.mine.train"]["sha256"] == file_digest(copy)
    assert needs["datasets.far"]["commit"] == "c" * 40
    assert "license: not known" in needs["datasets.far"]["why"]
    found = find(Wish(with_data=["mine", "far"]), datasets=sources)
    assert {name for name in found.files if not name.startswith("models")} == {
        f"cache/downloads/{copy.name}",
        *(
            f"results/prepare/dataset=far/{name}.parquet"
            for name in ("train", "validation", "test", "groups", "profile")
        ),
    }
    copy.unlink()
    with pytest.raises(ArtefactError, match=r"datasets\.mine\.train: .* is gone, which its rows came from"):
        find(Wish(with_data=["mine", "far"]), datasets=sources)


def test_a_study_that_is_not_finished_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text(str(CONFIG), encoding="utf-8")  # such a dict is YAML
    assert main(["archive"]) == 1
    assert "jobs would still run, so that the study is not finished" in capsys.readouterr().err
    assert not Path("study.zip").exists()


def test_the_program_is_whole(folder: Path) -> None:
    found = program_files()
    wanted = ["Snakefile", "workflow/scripts/train.py", "profiles/default/profile.yaml", "hypermix/cli/__init__.py"]
    assert {*wanted, "config/datasets.yaml", "hypermix/report/templates/report.css", "LICENSE"} <= set(found)
    assert not [name for name in found if "__pycache__" in name or name.startswith((".", "tests"))]
    assert all(is_program(name) for name in found if name != "config/datasets.yaml")
    assert not is_program("data/train.csv")


def place_secret(how: str, path: Path) -> Path:
    noise = [f"{position:08x}" * 8 for position in range(500)]
    if how == "gzip":
        path = path.with_suffix(".csv.gz")
        path.write_bytes(gzip.compress(f"{noise}{SECRET}".encode()))
    elif how == "far":
        path.write_bytes(b"x" * ((1 << 20) - 7) + SECRET.encode())
    elif how == "utf-16":
        path.write_bytes(f"text,label\n{SECRET}".encode("utf-16"))
    elif how == "json":
        path.write_text(f'{{"a": "{SECRET.replace(chr(34), chr(92) + chr(34))}"}}', encoding="utf-8")
    else:
        path = path.with_suffix(".PARQUET")
        texts = [*noise, f"a {SECRET}"]
        columns = {
            "column": pa.array(texts),
            "category": pa.array(texts).dictionary_encode(),
            "bytes": pa.array([text.encode() for text in texts]),
            "nested": pa.array([{"list": [text]} for text in texts]),
        }
        metadata = {b"told": SECRET.encode() if how == "metadata" else b""}
        table = pa.table({"text": columns.get(how, pa.array(noise))}).replace_schema_metadata(metadata)
        pq.write_table(table, path, compression="zstd", write_statistics=False)
        assert how == "metadata" or SECRET.encode() not in path.read_bytes()  # its compression hides it
        if how == "column":  # Parquet may be packed once more
            path = Path(f"{path}.gz")
            path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    return path


@pytest.mark.parametrize("how", ["gzip", "far", "json", "utf-16", "column", "category", "bytes", "nested", "metadata"])
def test_a_key_in_a_file_is_found_and_not_shown(tmp_path: Path, how: str) -> None:
    path = place_secret(how, tmp_path / "rows.csv")
    with pytest.raises(ArtefactError, match="holds the key of the variable MY_KEY") as caught:
        Guard({"the variable MY_KEY": SECRET}).check(path.name, path)
    assert "planted" not in str(caught.value)
    Guard({"the variable MY_KEY": "another-long-key"}).check(path.name, path)


def test_what_is_only_named_like_a_packed_file_is_searched(tmp_path: Path) -> None:
    for name in ("rows.csv.gz", "rows.parquet"):
        (tmp_path / name).write_bytes(b"PAR1, and nothing of it")
        Guard({"the variable MY_KEY": SECRET}).check(name, tmp_path / name)
        (tmp_path / name).write_bytes(b"PAR1 " + SECRET.encode())
        with pytest.raises(ArtefactError, match="holds the key"):
            Guard({"the variable MY_KEY": SECRET}).check(name, tmp_path / name)


def test_keys_of_this_machine_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    monkeypatch.setenv("OTHER_TOKEN", "short")
    monkeypatch.setenv("PLAIN", "nothing-to-hide-here")
    monkeypatch.setenv("MY_LOGIN", "named-in-the-config")
    (tmp_path / "my.key").write_text("\n from-a-file-0123\nsecond line of it\n", encoding="utf-8")
    found = known_secrets([tmp_path / "my.key", tmp_path / "none"], {"MY_LOGIN"})
    assert found["the variable MY_LOGIN"] == "named-in-the-config"
    assert found["the variable SOME_API_KEY"] == SECRET
    assert found[f"the file {tmp_path / 'my.key'}"] == "from-a-file-0123"
    assert not {"short", "nothing-to-hide-here"} & set(found.values())


def test_what_a_broken_installation_leaves_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "~roken-1.0.dist-info").mkdir()
    install(tmp_path, "hello_twice", "9.9", name="pyarrow")  # behind the one that is imported
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path)])
    packages = describe(load_config(CONFIG))["packages"]
    assert packages["pyarrow"] == pa.__version__
    assert None not in packages
