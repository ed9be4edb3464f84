"""Datasets of the hub: what their rows become, by which commit, and without network."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.data.hub import BATCH_ROWS, _words
from hypermix.errors import DataError
from tests.hub import HubServer, Repository, card, parquet
from tests.integration.data.hub_worker import CSV, LABELED, NAMES, Worker, alone, folder, online, rows_of, server

__all__ = ["alone", "folder", "online", "server"]

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
    assert rows_of(opened["train"]) == [("great", "positive")]
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
    assert rows_of(opened["train"]) == [("dull", 0), ("fine", 1)]
    assert rows_of(opened["test"]) == [("great", 1)]


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
    assert rows_of(online.open("acme/languages", config="de", test=None)["train"]) == [("gut", 1)]
    assert rows_of(online.open("acme/languages", config="en", test=None)["train"]) == [("good", 1)]
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
    assert rows_of(online.open("acme/declared", test=None)["train"]) == [("gut", 1)]


def test_a_dataset_without_configurations_has_no_other(online: Worker) -> None:
    assert "has no configuration 'fr' (known: default)" in online.error("acme/reviews", config="fr")


# Revisions


def test_a_revision_is_loaded_as_the_commit_that_it_stands_for(online: Worker, server: HubServer) -> None:
    made = Repository(CSV, {"v2": {"train.csv": b"text,label\nnewer,1\n"}, "refs/convert/parquet": LABELED})
    server.repositories["acme/versions"] = made
    second = online.open("acme/versions", revision="v2", test=None)
    assert rows_of(second["train"]) == [("newer", 1)]
    assert second["inputs"] == {"acme/versions": made.commit("v2")}
    assert len(rows_of(online.open("acme/versions", revision="refs/convert/parquet")["train"])) == 3
    assert rows_of(online.open("acme/versions", revision=made.commit())["test"]) == [("great", 1)]
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
    assert rows_of(online.open("acme/moving")["train"])[0] == ("dull", 0)
    server.repositories["acme/moving"] = new
    later = online.open("acme/moving")
    assert rows_of(later["train"]) == [("later", 1)]
    assert later["inputs"] == {"acme/moving": new.commit()}
    assert rows_of(online.open("acme/moving", revision=old.commit())["train"])[0] == ("dull", 0)


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
    assert rows_of(alone.open("acme/some", test=None)["train"]) == [("en", 1)]
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
    assert rows_of(alone.open("acme/both", config="de", test=None)["train"]) == [("de", 1)]


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
        r"prepared it; (unset it for one run|check network and proxy and run again, or bring HF_HOME here from .*)",
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
