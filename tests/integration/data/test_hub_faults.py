"""Datasets of the hub that cannot be had: refused, incomplete, broken on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hypermix.data.hub import open_hub
from hypermix.errors import DataError
from tests.hub import INVALID_TOKEN, HubServer, Repository, card, parquet
from tests.integration.data.hub_worker import (
    CSV,
    LABELED,
    NAMES,
    SECRET,
    TRAIN_FILE,
    WRONG,
    Worker,
    folder,
    online,
    server,
)

__all__ = ["folder", "online", "server"]

# What the hub refuses


def test_an_unknown_dataset(online: Worker) -> None:
    assert online.error("acme/nothere") == (
        "acme/nothere: the hub shows no such dataset; correct path, or log in with HF_TOKEN or `hf auth login` if the "
        "dataset is private"
    )


@pytest.mark.parametrize(
    "path", ["sst2", "a/b/c", "", "../data", "acme/", "https://host/acme/reviews", "acme/re views"]
)
def test_an_id_that_is_none(path: str) -> None:
    settings = {"path": path, "config": None, "revision": None, "train": "train", "validation": None, "test": None}
    with pytest.raises(DataError, match="is no id of the hub; write owner/name in path, such as SetFit/sst2"):
        open_hub({**settings, "text": ["text"], "label": "label", "group": None})


def test_a_private_dataset_needs_its_token(online: Worker, server: HubServer) -> None:
    server.repositories["acme/private"] = Repository(CSV, token=SECRET)
    assert "the hub shows no such dataset" in online.error("acme/private")
    assert "the hub shows no such dataset" in online.error("acme/private", token=WRONG)
    server.repositories["acme/private2"] = Repository(CSV, token=SECRET)
    assert len(online.open("acme/private2", token=SECRET)["train"]["rows"]) == 2


def test_a_gated_dataset_needs_its_terms_accepted(online: Worker, server: HubServer) -> None:
    for name in ("gated", "gated2"):
        server.repositories[f"acme/{name}"] = Repository(LABELED, token=SECRET, access="gated")
    expected = (
        "acme/gated: is gated, and the hub does not let you read it; accept the terms on the dataset's page and log in "
        "with HF_TOKEN or `hf auth login`"
    )
    commit = server.repositories["acme/gated"].commit()
    assert online.error("acme/gated") == expected
    assert online.error("acme/gated", token=WRONG) == expected
    assert online.error("acme/gated", token=WRONG, revision=commit) == expected
    assert len(online.open("acme/gated2", token=SECRET)["train"]["rows"]) == 3


def test_no_message_tells_the_token(online: Worker, server: HubServer) -> None:
    server.repositories["acme/closed"] = Repository(CSV, token=SECRET, access="gated")
    server.repositories["acme/hidden"] = Repository(CSV, token=SECRET)
    statuses = {"gone": 410, "denied": 403, "missing": 404, "failed": 500, "teapot": 418, "bad": 400}
    for name, status in statuses.items():
        server.repositories[f"acme/{name}"] = Repository(CSV, faults={"/api/": status})
    told = [online.error(f"acme/{name}", token=WRONG) for name in ("closed", "hidden", *statuses)]
    assert not [message for message in told if WRONG in message or SECRET in message]
    assert server.tokens[WRONG] >= len(told)
    assert "status 410" in told[2]


def test_a_token_that_the_hub_does_not_know(online: Worker) -> None:
    assert online.error("acme/reviews", token=INVALID_TOKEN) == (
        "acme/reviews: the hub refuses your token (status 401); log in with HF_TOKEN or `hf auth login` anew"
    )


def test_a_loading_script_is_named_and_not_run(online: Worker, server: HubServer) -> None:
    script = b"raise SystemExit(3)\n"
    server.repositories["acme/trec"] = Repository({"trec.py": script, **CSV}, {"refs/convert/parquet": LABELED})
    told = online.error("acme/trec")
    assert told.startswith("acme/trec, revision main: needs its loading script trec.py, which is never run; ")
    assert "try revision: refs/convert/parquet" in told
    assert server.requests["GET /datasets/acme/trec/resolve/main/trec.py"] == 0
    assert len(online.open("acme/trec", revision="refs/convert/parquet")["train"]["rows"]) == 3
    # Now another commit lies in the cache, which the library takes when anything fails.
    assert online.error("acme/trec") == told


# What the dataset lacks


def test_an_unknown_split(online: Worker) -> None:
    assert online.error("acme/reviews", train="trian") == (
        "acme/reviews: has no split 'trian' for train (did you mean 'train'? (known: train, test)); name one"
    )
    assert online.error("acme/reviews", validation="dev") == (
        "acme/reviews: has no split 'dev' for validation (known: train, test); name one, or null"
    )
    assert "has no split 'train[:1]'" in online.error("acme/reviews", train="train[:1]")


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({"text": ["txet"]}, "txet"), ({"label": "lable"}, "lable"), ({"group": "autor"}, "autor")],
)
def test_a_missing_column(online: Worker, settings: dict[str, Any], missing: str) -> None:
    told = online.error("acme/reviews", **settings)
    assert told.startswith(f"acme/reviews, split train: no column '{missing}' (did you mean ")
    assert "known: text, label, author" in told


def test_a_class_without_a_name(online: Worker, server: HubServer) -> None:
    server.repositories["acme/beyond"] = Repository({"train.parquet": parquet({"text": ["x"], "label": [2]}, NAMES)})
    assert online.error("acme/beyond", test=None) == (
        "acme/beyond, split train: column 'label' holds the class 2, but only 0 to 1 have names; take another revision"
    )


FEATURES = (
    b"---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype: int64\n---\n"
)


def test_a_split_withoutrows_of(online: Worker, server: HubServer) -> None:
    files = {"README.md": FEATURES, **CSV, "test.csv": b"text,label\n"}
    server.repositories["acme/hollow"] = Repository(files)
    assert online.error("acme/hollow") == "acme/hollow, split test: has no rows; name another split for test"
    assert len(online.open("acme/hollow", test=None)["train"]["rows"]) == 2
    server.repositories["acme/header"] = Repository({"train.csv": b"text,label\n"})
    assert "split train: has no rows" in online.error("acme/header", test=None)


BROKEN = {
    "parquet": {"train.parquet": LABELED[TRAIN_FILE][:-100]},
    "no-parquet": {"train.parquet": b"PAR1 and no more"},
    "no-rows-parquet": {
        "train.parquet": parquet({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    },
    "ragged": {"train.csv": b"text,label\na,0\nb,1,2,3\n"},
    "jsonl": {"train.jsonl": b'{"text": "a", "label": 0}\n{"text": "b", '},
    "empty-jsonl": {"train.jsonl": b""},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_data_file_is_named(online: Worker, server: HubServer, name: str) -> None:
    server.repositories[f"acme/{name}"] = Repository(BROKEN[name])
    told = online.error(f"acme/{name}", test=None)
    [file] = BROKEN[name]
    assert told.startswith(f"acme/{name}, revision main: {file} cannot be read or has no rows (")
    assert told.endswith("); take another revision or dataset")


def test_files_with_different_columns(online: Worker, server: HubServer) -> None:
    files = {"a/train.jsonl": b'{"text": "a", "label": 0}\n', "b/train.jsonl": b'{"sentence": "a", "class": 0}\n'}
    server.repositories["acme/mixed"] = Repository(files)
    told = online.error("acme/mixed", test=None)
    assert told.startswith("acme/mixed, revision main: a/train.jsonl or b/train.jsonl cannot be read or has no rows (")


def test_one_of_many_files_cannot_be_named(online: Worker, server: HubServer) -> None:
    files = {f"data/train-0000{part}-of-00004.parquet": LABELED[TRAIN_FILE] for part in range(3)}
    server.repositories["acme/parts"] = Repository({**files, "data/train-00003-of-00004.parquet": b"PAR1"})
    assert "one of 4 data files cannot be read" in online.error("acme/parts", test=None)


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("bare", {"README.md": b"# Nothing here\n"}, "holds no data files that can be loaded"),
        ("model", {"model.onnx": b"0"}, "holds no data files that can be loaded"),
        (
            "lost",
            {"README.md": card({"default": {"train": "lost.csv"}}), **CSV},
            "lacks data files that its README.md names",
        ),
        ("no-yaml", {"README.md": b"---\nconfigs: [\n---\n", **CSV}, "has a README.md whose header is no YAML"),
        ("no-configs", {"README.md": b"---\nconfigs:\n- 3\n---\n", **CSV}, "cannot be loaded ("),
        (
            "miscounted",
            {
                "README.md": FEATURES[:-4]
                + b"  splits:\n  - name: train\n    num_examples: 9\n    num_bytes: 9\n---\n",
                **CSV,
            },
            "has other splits or numbers of rows than its README.md says",
        ),
    ],
)
def test_a_repository_that_is_no_dataset(
    online: Worker, server: HubServer, name: str, files: dict[str, bytes], words: str
) -> None:
    server.repositories[f"acme/{name}"] = Repository(files)
    told = online.error(f"acme/{name}", test=None)
    assert told.startswith(f"acme/{name}, revision main: {words}")
    # The library looks into its cache after any failure; that nothing lies there is not what is wrong.
    assert "is not cached" not in told
    assert told.endswith("; take another revision or dataset")


def test_a_broken_commit_is_not_hidden_by_a_good_one_in_the_cache(online: Worker, server: HubServer) -> None:
    server.repositories["acme/turned"] = Repository(CSV)
    online.open("acme/turned")
    server.repositories["acme/turned"] = Repository({"README.md": b"---\nconfigs: [\n---\n", **CSV})
    assert "whose header is no YAML" in online.error("acme/turned")


# Faults on the way


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_answers_with_a_fault(online: Worker, server: HubServer, status: int) -> None:
    server.repositories[f"acme/fault{status}"] = Repository(CSV, faults={"/api/": status})
    assert online.error(f"acme/fault{status}") == (
        f"acme/fault{status}: the hub answers with status {status}, and no earlier run prepared it; wait and run again"
    )


def test_a_hub_that_fails_after_the_commit(online: Worker, server: HubServer) -> None:
    # The library tries for five seconds, then hides the cause.
    server.repositories["acme/late"] = Repository({"README.md": b"# Late\n", **CSV}, faults={"README.md": 500})
    assert online.error("acme/late") == (
        "acme/late: the hub did not answer all requests, and no earlier run prepared it; run again"
    )


def test_a_file_that_the_hub_lists_and_does_not_give(online: Worker, server: HubServer) -> None:
    server.repositories["acme/withheld"] = Repository(CSV, faults={"/train.csv": 404})
    assert "the hub answers with status 404" in online.error("acme/withheld")


def test_a_download_that_stops_is_taken_up_where_it_stopped(online: Worker, server: HubServer) -> None:
    made = Repository(LABELED, cut={TRAIN_FILE: 1})
    server.repositories["acme/halting"] = made
    assert len(online.open("acme/halting")["train"]["rows"]) == 3
    assert server.requests[f"GET /datasets/acme/halting/resolve/{made.commit()}/{TRAIN_FILE}"] == 2


def test_a_download_that_breaks(online: Worker, server: HubServer) -> None:
    server.repositories["acme/breaking"] = Repository(LABELED, reset=(TRAIN_FILE,))
    assert online.error("acme/breaking") == (
        "acme/breaking: the download stopped half-way, and no earlier run prepared it; run again"
    )
    server.repositories["acme/breaking"] = Repository(LABELED)
    assert len(online.open("acme/breaking")["train"]["rows"]) == 3


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_prepared_files(online: Worker, server: HubServer, folder: Path, damage: str) -> None:
    server.repositories[f"acme/{damage}"] = Repository(CSV)
    online.open(f"acme/{damage}")
    [prepared] = (folder / "home" / "datasets" / f"acme___{damage}").rglob(f"{damage}-train.arrow")
    if damage == "gone":
        prepared.unlink()
    else:
        prepared.write_bytes(prepared.read_bytes()[:100])
    told = online.error(f"acme/{damage}")
    assert told.startswith(f"acme/{damage}, split train: the prepared file is damaged (")
    assert told.endswith(f"delete {prepared.parent} and run again")


def test_a_cache_that_cannot_be_written(folder: Path, server: HubServer) -> None:
    occupied = folder / "occupied"
    occupied.write_bytes(b"")
    home = {"HF_HOME": str(folder / "home"), "HF_DATASETS_CACHE": str(occupied)}
    worker = Worker(folder, HF_ENDPOINT=server.url, **home)
    told = worker.error("acme/reviews")
    worker.stop()
    assert told.endswith("; check that the cache, which HF_HOME names, can be written and has room")
