from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hypermix import tables
from hypermix.cli import main
from hypermix.files import write_table
from hypermix.llm.store import Answer, Question, Record, RequestStore

CONFIG = """
datasets:
  toy: {source: file, train: rows.csv}
augmenters:
  none: {method: none}
classifiers:
  tiny: {method: finetune}
cache: paid
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RequestStore:
    """Return a store with five answers, where the config of the working folder says."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/config.yaml").write_text(CONFIG, encoding="utf-8")
    found = RequestStore(Path("paid/requests"))
    for sample in range(5):
        question = Question({}, "/v1/completions", {"model": "tiny" if sample else "large"}, str(sample))
        found.put(Record(question, Answer("{}")))
    return found


def damage(store: RequestStore) -> Path:
    path = store.path(next(store.keys()))
    path.write_bytes(b"")
    return path


def test_stats_are_told(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "stats"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "paid/requests: 5 answers, 0.0 MB, 0 requests without an answer",
        "  large: 1 answer, 0.0 MB",
        "  tiny: 4 answers, 0.0 MB",
    ]


def test_folder_may_be_given(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config/config.yaml").unlink()
    assert main(["cache", "stats", "--cache", "paid"]) == 0
    assert capsys.readouterr().out.startswith("paid/requests: 5 answers")
    assert main(["cache", "stats"]) == 1
    assert capsys.readouterr().err == "config/config.yaml: no such file\n"
    assert main(["cache", "stats", "--cache", "gone"]) == 1
    assert capsys.readouterr().err == "gone/requests: no such folder; name the cache with --cache\n"


def test_overlays_are_laid_in_order(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more.yaml").write_text("cache: elsewhere", encoding="utf-8")
    assert main(["cache", "stats", "--config", "config/config.yaml", "--config", "more.yaml"]) == 1
    assert capsys.readouterr().err.startswith("elsewhere/requests: no such folder")


def test_verify_names_what_is_damaged(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().out == "5 answers are intact, 0 damaged.\n"
    path = damage(store)
    assert main(["cache", "verify"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "4 answers are intact, 1 damaged.",
        f"{path}: is damaged; the request will be sent again, unless an import brings the answer",
    ]


def test_answers_travel(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "export", "all.parquet"]) == 0
    assert main(["cache", "import", "all.parquet", "--cache", "other"]) == 0
    assert main(["cache", "import", "all.parquet"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "all.parquet: 5 answers written.",
        "5 answers added, 0 were there.",
        "0 answers added, 5 were there.",
    ]
    assert list(RequestStore(Path("other/requests")).keys()) == list(store.keys())


def test_damage_is_told_by_export(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    path = damage(store)
    assert main(["cache", "export", "all.parquet"]) == 1
    assert capsys.readouterr().out.startswith(f"all.parquet: 4 answers written.\n{path}: is damaged; ")


def test_changed_export_is_told(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    main(["cache", "export", "all.parquet"])
    table = pq.read_table("all.parquet")
    pq.write_table(table.set_column(5, "response", pa.array(["{}", "{}", "[]", "[]", "{}"])), "changed.parquet")
    capsys.readouterr()
    assert main(["cache", "import", "changed.parquet", "--cache", "other"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "3 answers added, 0 were there.",
        "changed.parquet: 2 rows were left out as damaged; the first is row 3",
    ]


def prune(*words: str) -> int:
    return main(["cache", "prune", *words])


def test_prune_only_tells_without_yes(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune("--model", "tiny") == 0
    assert capsys.readouterr().out == "4 answers, 0.0 MB would go; delete them with --yes.\n"
    assert len(list(store.keys())) == 5
    assert prune("--model", "tiny", "--yes") == 0
    assert capsys.readouterr().out == "4 answers, 0.0 MB deleted.\n"
    assert len(list(store.keys())) == 1


def test_prune_by_age(store: RequestStore) -> None:
    old = next(store.keys())
    os.utime(store.path(old), (time.time() - 200_000,) * 2)
    assert prune("--older-than", "2.5", "--yes") == 0
    assert old in list(store.keys())
    assert prune("--older-than", "2", "--yes") == 0
    assert old not in list(store.keys())
    assert len(list(store.keys())) == 4


def test_prune_by_use(store: RequestStore, capsys: pytest.CaptureFixture[str]) -> None:
    used = next(store.keys())
    assert prune("--unused-by", "results", "--yes") == 1
    assert capsys.readouterr().err.startswith("results: holds no augment/")
    columns = {name: [None] for name in tables.schema("synthetic").names} | {"request_key": [used]}
    write_table(Path("results/augment/x=1/synthetic.parquet"), tables.from_columns("synthetic", columns), {})
    assert prune("--unused-by", "results", "--yes") == 0
    assert list(store.keys()) == [used]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["prune"],
        ["prune", "--yes"],
        ["prune", "--model", "m", "--older-than", "3"],
        *(["prune", "--older-than", days] for days in ("soon", "-1", "nan", "inf")),
        ["export"],
        ["import"],
    ],
)
def test_wrong_use_is_told(store: RequestStore, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cache", *words])
    assert ended.value.code == 2
    assert "usage: hypermix cache" in capsys.readouterr().err
    assert len(list(store.keys())) == 5
