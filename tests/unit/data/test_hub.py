"""Datasets of the hub against the one on loopback, in processes with a cache and an environment of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data.hub import BATCH_ROWS, _words, open_hub
from hypermix.errors import DataError
from tests.hub import INVALID_TOKEN, HubServer, Repository, card, hub, parquet

ROOT = Path(__file__).parents[3]
NAMES = {"label": ["negative", "positive"]}
TRAIN = {"text": ["dull", "fine", "odd"], "label": [0, 1, -1], "author": ["a", "b", "b"]}
TEST = {"text": ["great"], "label": [1], "author": ["c"]}
LABELED = {
    "data/train-00000-of-00001.parquet": parquet(TRAIN, NAMES),
    "data/test-00000-of-00001.parquet": parquet(TEST, NAMES),
}
TRAIN_FILE = "data/train-00000-of-00001.parquet"
CSV = {"train.csv": b"text,label\ndull,0\nfine,1\n", "test.csv": b"text,label\ngreat,1\n"}
SECRET = "hf_ownsecret"
WRONG = "hf_othersecret"

# Answers each line of JSON with one, so that the slow imports are paid once.
WORKER = """
import json, logging, os, sys, warnings
import pyarrow as pa
from hypermix.data.hub import open_hub, resolve_commit
from hypermix.errors import DataError

def state():
    import datasets, huggingface_hub.utils as hub
    return [[part.are_progress_bars_disabled(), part.logging.get_verbosity()] for part in (datasets.utils, hub)] + [
        len(warnings.filters)]

def read(split):
    before, peak, rows, sizes, types = pa.total_allocated_bytes(), 0, [], [], {}
    for batch in split.batches():
        peak = max(peak, pa.total_allocated_bytes() - before)
        types = {field.name: str(field.type) for field in batch.schema}
        sizes.append(len(batch))
        rows += batch.to_pylist() if len(rows) < 5000 else []
    return {"where": split.where, "rows": rows, "sizes": sizes, "peak": peak, "types": types}

print(json.dumps(["datasets" in sys.modules, "huggingface_hub" in sys.modules]), flush=True)
logged = []

class Keeper(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())

logging.getLogger("hypermix").addHandler(Keeper())
for line in sys.stdin:
    logged.clear()
    asked = json.loads(line)
    os.environ["HF_TOKEN"] = asked.pop("token")
    try:
        if "text" not in asked:
            answer = {"commit": resolve_commit(asked["path"], asked["revision"])}
        else:
            before = state()
            raw = open_hub(asked)
            answer = {"inputs": raw.inputs, "warnings": logged, "restored": before == state()}
            for name, split in raw.splits.items():
                first = read(split)
                answer[name] = {**first, "again": read(split)["rows"] == first["rows"]}
    except DataError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Worker:
    """A process that opens datasets, in which no library may warn or write a line."""

    def __init__(self, folder: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        self.stderr = folder / f"stderr-{len(list(folder.glob('stderr-*')))}"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", WORKER],
                env={**kept, "PYTHONPATH": str(ROOT), **environment},
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.imported = self._answer()

    def open(self, path: str, token: str = "", **settings: Any) -> Any:
        """Open a dataset; the settings are those of a config without any."""
        plain = {"config": None, "revision": None, "train": "train", "validation": None, "test": "test"}
        return self._ask({**plain, "path": path, "text": ["text"], "label": "label", "group": None, **settings}, token)

    def error(self, path: str, token: str = "", **settings: Any) -> str:
        """Open a dataset in vain and return the message, which is one line."""
        told = str(self.open(path, token, **settings)["error"])
        assert "\n" not in told
        return told

    def resolve(self, path: str, revision: str | None = None) -> Any:
        """Resolve a revision."""
        return self._ask({"path": path, "revision": revision}, "")

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _ask(self, asked: dict[str, Any], token: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**asked, "token": token}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert self.stderr.read_text(encoding="utf-8") == ""
        return json.loads(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working folder that holds the cache, and a folder that is called like a dataset."""
    made = tmp_path_factory.mktemp("hub")
    local = made / "acme" / "reviews"
    local.mkdir(parents=True)
    (local / "train.csv").write_text("text,label\nlocal,0\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    """Run a hub to which each test adds the repositories that it needs."""
    with hub({"acme/reviews": Repository(LABELED)}) as running:
        yield running


@pytest.fixture(scope="module")
def online(folder: Path, server: HubServer) -> Iterator[Worker]:
    worker = Worker(folder, HF_HOME=str(folder / "home"), HF_ENDPOINT=server.url)
    yield worker
    worker.stop()


@pytest.fixture(scope="module", params=["offline", "unreachable"])
def alone(request: pytest.FixtureRequest, folder: Path, server: HubServer) -> Iterator[Worker]:
    """Return a worker with the same cache that is told to be offline, or that finds no hub."""
    with_hub = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "1"}
    # Nothing listens on the port of a discarded packet.
    without = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    worker = Worker(folder, HF_HOME=str(folder / "home"), **(with_hub if request.param == "offline" else without))
    yield worker
    worker.stop()


def _rows(split: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in split["rows"]]


# What a dataset becomes


def test_importing_the_module_imports_neither_library(online: Worker) -> None:
    assert online.imported == [False, False]


def test_class_labels_become_their_names_and_minus_one_becomes_null(online: Worker, server: HubServer) -> None:
    opened = online.open("acme/reviews")
    assert opened["train"]["rows"] == [
        {"text": "dull", "label": "negative"},
        {"text": "fine", "label": "positive"},
        {"text": "odd", "label": None},
    ]
    assert opened["test"]["rows"] == [{"text": "great", "label": "positive"}]
    assert opened["train"]["types"] == {"text": "string", "label": "string"}
    assert opened["inputs"] == {"acme/reviews": server.repositories["acme/reviews"].commit()}
    assert opened["warnings"] == []
    assert "validation" not in opened


def test_a_split_says_where_it_is_from_and_can_be_read_again(online: Worker) -> None:
    opened = online.open("acme/reviews")
    assert opened["train"]["where"] == "acme/reviews, split train"
    assert opened["train"]["again"]


def test_the_settings_of_the_libraries_are_put_back(online: Worker) -> None:
    assert online.open("acme/reviews")["restored"]


def test_splits_go_by_the_names_that_the_config_gives_them(online: Worker) -> None:
    opened = online.open("acme/reviews", train="test", validation="train", test=None)
    assert _rows(opened["train"]) == [("great", "positive")]
    assert len(opened["validation"]["rows"]) == 3
    assert "test" not in opened


def test_only_the_wanted_columns_are_read(online: Worker) -> None:
    rows = online.open("acme/reviews", text=["author", "text"], group="author")["train"]["rows"]
    assert rows[0] == {"author": "a", "text": "dull", "label": "negative"}


def test_a_group_may_be_a_class_label_too(online: Worker, server: HubServer) -> None:
    files = {
        "train.parquet": parquet({"text": ["x", "y"], "label": ["p", "n"], "who": [1, -1]}, {"who": ["ann", "bob"]})
    }
    server.repositories["acme/groups"] = Repository(files)
    rows = online.open("acme/groups", group="who", test=None)["train"]["rows"]
    assert rows == [{"text": "x", "label": "p", "who": "bob"}, {"text": "y", "label": "n", "who": None}]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("csv", CSV),
        ("tsv", {name.replace("csv", "tsv"): content.replace(b",", b"\t") for name, content in CSV.items()}),
        (
            "jsonl",
            {
                "train.jsonl": b'{"text": "dull", "label": 0, "more": [1]}\n{"text": "fine", "label": 1, "more": []}\n',
                "test.jsonl": b'{"text": "great", "label": 1, "more": [2]}\n',
            },
        ),
    ],
)
def test_text_formats_load(online: Worker, server: HubServer, name: str, files: dict[str, bytes]) -> None:
    server.repositories[f"acme/{name}"] = Repository(files)
    opened = online.open(f"acme/{name}")
    assert _rows(opened["train"]) == [("dull", 0), ("fine", 1)]
    assert _rows(opened["test"]) == [("great", 1)]


def test_many_rows_come_in_small_batches_that_stay_on_the_disk(online: Worker, server: HubServer) -> None:
    count, text = 20_000, "word " * 100
    server.repositories["acme/large"] = Repository(
        {"train.parquet": parquet({"text": [text] * count, "label": [1] * count}, NAMES)}
    )
    read = online.open("acme/large", test=None)["train"]
    assert sum(read["sizes"]) == count
    assert max(read["sizes"]) <= BATCH_ROWS
    assert len(read["sizes"]) > 4
    # The texts of all rows are 10 MB; only the names of a batch's labels are built.
    assert read["peak"] < 500_000


def test_a_folder_called_like_the_dataset_is_not_taken_for_it(online: Worker, folder: Path) -> None:
    assert (folder / "acme" / "reviews" / "train.csv").is_file()
    assert "local" not in [row["text"] for row in online.open("acme/reviews")["train"]["rows"]]


# Configurations


def test_the_config_names_one_of_several_configurations(online: Worker, server: HubServer) -> None:
    splits = {"en": {"train": "en.csv"}, "de": {"train": "de.csv"}}
    files = {"en.csv": b"text,label\ngood,1\n", "de.csv": b"text,label\ngut,1\n"}
    server.repositories["acme/languages"] = Repository({"README.md": card(splits), **files})
    assert _rows(online.open("acme/languages", config="de", test=None)["train"]) == [("gut", 1)]
    assert _rows(online.open("acme/languages", config="en", test=None)["train"]) == [("good", 1)]
    assert online.error("acme/languages") == (
        "acme/languages: has 2 configurations; name one in config (known: en, de)"
    )
    assert online.error("acme/languages", config="dee") == (
        "acme/languages: has no configuration 'dee' (did you mean 'de'? (known: en, de))"
    )


def test_the_configuration_that_the_dataset_declares_stands_for_none(online: Worker, server: HubServer) -> None:
    splits = {"en": {"train": "en.csv"}, "de": {"train": "de.csv"}}
    files = {"en.csv": b"text,label\ngood,1\n", "de.csv": b"text,label\ngut,1\n"}
    server.repositories["acme/declared"] = Repository({"README.md": card(splits, default="de"), **files})
    assert _rows(online.open("acme/declared", test=None)["train"]) == [("gut", 1)]


def test_a_dataset_without_configurations_has_no_other(online: Worker) -> None:
    assert "has no configuration 'fr' (known: default)" in online.error("acme/reviews", config="fr")


# Revisions


def test_a_revision_is_loaded_as_the_commit_that_it_stands_for(online: Worker, server: HubServer) -> None:
    made = Repository(CSV, {"v2": {"train.csv": b"text,label\nnewer,1\n"}, "refs/convert/parquet": LABELED})
    server.repositories["acme/versions"] = made
    second = online.open("acme/versions", revision="v2", test=None)
    assert _rows(second["train"]) == [("newer", 1)]
    assert second["inputs"] == {"acme/versions": made.commit("v2")}
    assert len(_rows(online.open("acme/versions", revision="refs/convert/parquet")["train"])) == 3
    assert _rows(online.open("acme/versions", revision=made.commit())["test"]) == [("great", 1)]
    assert online.error("acme/versions", revision="v3") == (
        "acme/versions: has no revision 'v3'; write a commit, a branch or a tag in revision, or null for the newest "
        "commit"
    )


def test_a_new_commit_is_taken_where_none_is_named_and_the_old_one_where_it_is(
    online: Worker, server: HubServer
) -> None:
    old = Repository(CSV)
    new = Repository({**CSV, "train.csv": b"text,label\nlater,1\n"}, {"before": CSV})
    server.repositories["acme/moving"] = old
    assert _rows(online.open("acme/moving")["train"])[0] == ("dull", 0)
    server.repositories["acme/moving"] = new
    later = online.open("acme/moving")
    assert _rows(later["train"]) == [("later", 1)]
    assert later["inputs"] == {"acme/moving": new.commit()}
    assert _rows(online.open("acme/moving", revision=old.commit())["train"])[0] == ("dull", 0)


def test_resolving_tells_the_commit(online: Worker, server: HubServer) -> None:
    made = Repository(CSV, {"v2": LABELED})
    server.repositories["acme/resolved"] = made
    assert online.resolve("acme/resolved") == {"commit": made.commit()}
    assert online.resolve("acme/resolved", "v2") == {"commit": made.commit("v2")}
    assert online.resolve("acme/resolved", made.commit("v2")) == {"commit": made.commit("v2")}
    assert re.fullmatch("[0-9a-f]{40}", made.commit())
    assert "no revision 'v9'" in online.resolve("acme/resolved", "v9")["error"]
    assert "the hub shows no such dataset" in online.resolve("acme/unresolved")["error"]


def test_what_is_prepared_is_not_downloaded_again(online: Worker, server: HubServer) -> None:
    server.repositories["acme/again"] = Repository(CSV)
    for _ in range(2):
        online.open("acme/again")
    downloads = [request for request in server.requests.elements() if request.startswith("GET /datasets/acme/again/")]
    assert sorted(path.rpartition("/")[2] for path in downloads) == ["test.csv", "train.csv"]


def test_a_pinned_and_prepared_commit_needs_no_request(online: Worker, server: HubServer) -> None:
    server.repositories["acme/pinned"] = Repository(CSV)
    commit = server.repositories["acme/pinned"].commit()
    first = online.open("acme/pinned", revision=commit)
    before = server.asked("acme/pinned")
    assert before > 0
    assert online.open("acme/pinned", revision=commit) == first
    assert server.asked("acme/pinned") == before


# Without network


def test_an_earlier_run_serves_one_without_network(online: Worker, alone: Worker, server: HubServer) -> None:
    made = Repository(LABELED, {"v2": CSV})
    server.repositories["acme/Kept-Rows"] = made
    first, second = online.open("acme/Kept-Rows"), online.open("acme/Kept-Rows", revision="v2")
    newest, branch = alone.open("acme/Kept-Rows"), alone.open("acme/Kept-Rows", revision="v2")
    assert newest["inputs"] == {"acme/Kept-Rows": made.commit()}
    assert branch["inputs"] == {"acme/Kept-Rows": made.commit("v2")}
    assert newest["train"] == first["train"]
    assert branch["train"] == second["train"]
    assert newest["warnings"] == [
        f"acme/Kept-Rows: the hub gave no answer; commit {made.commit()} of an earlier run is used"
    ]


def test_a_pinned_commit_needs_no_network_and_no_warning(online: Worker, alone: Worker, server: HubServer) -> None:
    made = Repository(CSV)
    server.repositories["acme/fixed"] = made
    first = online.open("acme/fixed", revision=made.commit())
    assert alone.open("acme/fixed", revision=made.commit()) == first
    assert first["warnings"] == []


def test_another_commit_is_never_taken_for_the_one_that_is_named(
    online: Worker, alone: Worker, server: HubServer
) -> None:
    server.repositories["acme/other"] = Repository(CSV, {"v2": LABELED})
    online.open("acme/other")
    for revision in ("v2", server.repositories["acme/other"].commit("v2"), "0" * 40):
        assert "and no earlier run prepared it" in alone.error("acme/other", revision=revision)


def test_only_the_prepared_configurations_serve_without_network(
    online: Worker, alone: Worker, server: HubServer
) -> None:
    splits = {name: {"train": f"{name}.csv"} for name in ("en", "de", "fr")}
    files = {f"{name}.csv": f"text,label\n{name},1\n".encode() for name in splits}
    server.repositories["acme/some"] = Repository({"README.md": card(splits, default="en"), **files})
    online.open("acme/some", test=None)
    assert _rows(alone.open("acme/some", test=None)["train"]) == [("en", 1)]
    assert "(prepared configurations of commit " in alone.error("acme/some", config="fr", test=None)
    assert ": en)" in alone.error("acme/some", config="fr", test=None)


def test_without_network_none_of_two_prepared_configurations_is_guessed(
    online: Worker, alone: Worker, server: HubServer
) -> None:
    splits = {name: {"train": f"{name}.csv"} for name in ("en", "de")}
    files = {f"{name}.csv": f"text,label\n{name},1\n".encode() for name in splits}
    server.repositories["acme/both"] = Repository({"README.md": card(splits, default="en"), **files})
    for name in splits:
        online.open("acme/both", config=name, test=None)
    assert "de, en)" in alone.error("acme/both", test=None)
    assert _rows(alone.open("acme/both", config="de", test=None)["train"]) == [("de", 1)]


def test_other_files_of_a_configuration_do_not_stand_for_it(
    online: Worker, alone: Worker, server: HubServer, folder: Path
) -> None:
    made = server.repositories["acme/chosen"] = Repository(CSV)
    online.open("acme/chosen", revision=made.commit())
    prepared = folder / "home" / "datasets" / "acme___chosen" / "default"
    # So `datasets` calls what was loaded with data_files.
    prepared.rename(prepared.with_name("default-0123456789abcdef"))
    assert "and no earlier run prepared it; " in alone.error("acme/chosen", revision=made.commit())
    shutil.rmtree(prepared.with_name("default-0123456789abcdef"))


def test_an_unknown_dataset_fails_without_network(alone: Worker) -> None:
    told = alone.error("acme/never")
    assert re.fullmatch(
        r"acme/never: (HF_HUB_OFFLINE keeps the hub from being asked|the hub cannot be reached), and no earlier run "
        r"prepared it; (unset it for one run|check network and proxy and run again)",
        told,
    )


def test_resolving_never_takes_what_an_earlier_run_knew(online: Worker, alone: Worker, server: HubServer) -> None:
    server.repositories["acme/known"] = Repository(CSV)
    online.open("acme/known")
    assert "commit" not in alone.resolve("acme/known")


def test_a_hub_that_fails_does_not_stop_what_is_prepared(online: Worker, server: HubServer) -> None:
    server.repositories["acme/failing"] = Repository(CSV)
    first = online.open("acme/failing")
    server.repositories["acme/failing"] = Repository(CSV, faults={"/api/": 503})
    second = online.open("acme/failing")
    assert second["train"] == first["train"]
    assert "the hub gave no answer" in second["warnings"][0]


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


def test_a_split_without_rows(online: Worker, server: HubServer) -> None:
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


# Class labels


@given(st.lists(st.integers(-1, 3) | st.none()), st.lists(st.text(min_size=1), min_size=4, max_size=6))
def test_each_class_takes_its_name(classes: list[int | None], names: list[str]) -> None:
    words = _words(pa.array(classes, pa.int64()), names, "here")
    assert words.type == pa.string()
    assert words.to_pylist() == [None if code is None or code < 0 else names[code] for code in classes]


@given(st.lists(st.integers(-1, 1)), st.integers(2, 2**62))
def test_each_class_without_a_name_is_an_error(classes: list[int], beyond: int) -> None:
    with pytest.raises(DataError, match=f"here holds the class {beyond}, but only 0 to 1 have names"):
        _words(pa.array([*classes, beyond]), ["a", "b"], "here")


# The hub on loopback


def _get(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


def test_the_stand_in_serves_files_with_ranges(server: HubServer) -> None:
    made = Repository({"a.txt": b"0123456789"})
    server.repositories["acme/ranges"] = made
    url = f"{server.url}/datasets/acme/ranges/resolve/main/a.txt"
    status, body, headers = _get(url)
    assert (status, body, headers["x-repo-commit"]) == (200, b"0123456789", made.commit())
    assert _get(url, "HEAD")[::2] == (200, headers | {"date": _get(url, "HEAD")[2]["date"]})
    status, body, part = _get(url, Range="bytes=4-6")
    assert (status, body, part["content-range"], part["etag"]) == (206, b"456", "bytes 4-6/10", headers["etag"])
    assert _get(url, Range="bytes=8-")[:2] == (206, b"89")
    assert server.requests["HEAD /datasets/acme/ranges/resolve/main/a.txt"] == 2


def test_the_stand_in_lists_trees(server: HubServer) -> None:
    server.repositories["acme/tree"] = Repository({"a.txt": b"1", "in/b.txt": b"22", "in/deep/c.txt": b"333"})
    url = f"{server.url}/api/datasets/acme/tree/tree/main"

    def listed(more: str) -> set[str]:
        return {entry["path"] for entry in json.loads(_get(url + more)[1])}

    assert listed("") == {"a.txt", "in"}
    assert listed("/in") == {"in/b.txt", "in/deep"}
    assert listed("?recursive=True") == {"a.txt", "in", "in/b.txt", "in/deep", "in/deep/c.txt"}
    assert _get(url + "/out")[2]["x-error-code"] == "EntryNotFound"
    form = urllib.request.Request(  # noqa: S310
        url.replace("/tree/main", "/paths-info/main"), data=b"paths=a.txt&paths=in&paths=none&expand=False"
    )
    with urllib.request.urlopen(form) as answer:  # noqa: S310
        assert [entry["path"] for entry in json.loads(answer.read())] == ["in", "a.txt"]


def test_the_stand_in_refuses_as_the_hub_does(server: HubServer) -> None:
    server.repositories["acme/shut"] = Repository(CSV, token=SECRET, access="gated")
    file = f"{server.url}/datasets/acme/shut/resolve/main/train.csv"
    for url in (file, f"{server.url}/api/datasets/acme/shut/tree/main"):
        assert (_get(url)[0], _get(url)[2]["x-error-code"]) == (401, "GatedRepo")
        assert _get(url, Authorization=f"Bearer {WRONG}")[0] == 403
        assert _get(url, Authorization=f"Bearer {SECRET}")[0] == 200
    assert json.loads(_get(f"{server.url}/api/datasets/acme/shut")[1])["gated"] == "auto"
    assert _get(f"{server.url}/api/datasets/acme/absent")[2]["x-error-code"] == "RepoNotFound"
    assert _get(f"{server.url}/api/datasets/acme/shut/revision/x")[2]["x-error-code"] == "RevisionNotFound"
    assert _get(f"{server.url}/api/agent-harnesses")[0] == 404


def test_the_stand_in_writes_parquet_like_the_library(online: Worker, server: HubServer, tmp_path: Path) -> None:
    program = (
        "import sys, datasets; names = datasets.ClassLabel(names=['negative', 'positive'])\n"
        "rows = datasets.Dataset.from_dict({'text': ['a', 'b'], 'label': [1, -1]}, "
        "features=datasets.Features({'text': datasets.Value('string'), 'label': names}))\n"
        "datasets.disable_progress_bars(); rows.to_parquet(sys.argv[1])"
    )
    written = tmp_path / "train.parquet"
    kept = {**os.environ, "HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program, str(written)], env=kept, check=True)
    server.repositories["acme/written"] = Repository({"train.parquet": written.read_bytes()})
    server.repositories["acme/made"] = Repository(
        {"train.parquet": parquet({"text": ["a", "b"], "label": [1, -1]}, NAMES)}
    )
    theirs, ours = (online.open(f"acme/{name}", test=None)["train"] for name in ("written", "made"))
    assert theirs["rows"] == ours["rows"] == [{"text": "a", "label": "positive"}, {"text": "b", "label": None}]
    assert theirs["types"] == ours["types"]
