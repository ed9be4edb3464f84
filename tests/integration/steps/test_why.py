"""Why jobs would run, by the files of an experiment; tests/workflow/test_reruns.py holds it against real dry runs."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hypermix.config.experiment import METHOD_VERSIONS
from hypermix.config.load import load_config, merge
from hypermix.config.model import Config
from hypermix.hashing import file_digest
from hypermix.report.why import Change, Group, Why
from hypermix.steps.artefacts import list_units
from hypermix.steps.why import explain
from tests.extending import install
from tests.integration.steps.stub_files import write_all, write_unit

ENCODER = {"by": "classifier", "model": "./encoder"}
RAW: dict[str, Any] = {
    "datasets": {
        "mine": {"source": "file", "train": "mine.csv", "text_type": "review", "label_words": {"1": "bad"}},
        "yours": {"source": "file", "train": "yours.csv"},
    },
    "subsample": {"train": ["2s"], "validation": "2s"},
    "seeds": {"data": [1], "trials": [7]},
    "llms": {"local": {"api": "embedded"}, "luna": {"api": "chat", "model": "luna"}},
    "augmenters": {
        "none": {"method": "none"},
        "more": {"method": "real"},
        "mix": {"method": "gpt3mix", "llm": "luna"},
        "own": {"method": "template", "llm": "luna", "template": "prompt.jinja"},
        "words": {"method": "eda", "synonyms": "embedding", "relabel": ENCODER},
        "hello": {"method": "custom", "name": "hello"},
    },
    "classifiers": {
        "tiny": {"method": "finetune", "model": "./encoder"},
        "same": {"method": "finetune", "match": "more"},
    },
}
DRAWS = 2  # one of each dataset
AUGMENTED = 6 * DRAWS
TRAINED = 2 * AUGMENTED
WHOLE = {
    "prepare": 2,
    "subsample": DRAWS,
    "augment": AUGMENTED,
    "quality": AUGMENTED,
    "train": TRAINED,
    "evaluate": TRAINED,
    "aggregate": 1,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an experiment whose files are all there."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "encoder").mkdir()
    for name in ("mine.csv", "yours.csv", "encoder/config.json", "encoder/model.safetensors"):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / "prompt.jinja").write_text("Write a text.", encoding="utf-8")
    install(folder / "site", "hello_why")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder / "site")
        write_all(load_config(RAW))
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))
    return folder


@pytest.fixture
def there(done: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, which has the experiment; nothing in it may be changed."""
    monkeypatch.chdir(done)
    monkeypatch.syspath_prepend(done / "site")
    return done


@pytest.fixture
def here(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, which has a copy of the experiment with the times of its files, all the same."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path


def ask(*overlays: Mapping[str, Any]) -> Why:
    raw: dict[str, Any] = RAW
    for overlay in overlays:
        raw = merge(raw, overlay)
    return explain(load_config(raw))


def reasons(why: Why) -> dict[str, set[str]]:
    """Return the keys of settings that changed, by stage."""
    told: dict[str, set[str]] = {}
    for group in why.groups:
        if group.changes:
            told.setdefault(group.stage, set()).update(change.key for change in group.changes)
    return told


def test_nothing_runs_where_all_is_there(there: Path) -> None:
    assert ask() == Why("results", sum(WHOLE.values()), [])


def test_all_runs_where_nothing_is_there(there: Path) -> None:
    why = ask({"results": "elsewhere"})

    assert why.jobs == WHOLE
    assert {group.kind for group in why.groups} == {"missing"}
    assert not Path("elsewhere").exists()


OF_ONE = {"augment": DRAWS, "quality": DRAWS, "train": 2 * DRAWS, "evaluate": 2 * DRAWS, "aggregate": 1}


@pytest.mark.parametrize(
    ("overlay", "stage", "changes", "jobs"),
    [
        ({"report": {"alpha": 0.1}}, "aggregate", [("report.alpha", "0.05", "0.1")], {"aggregate": 1}),
        (
            {"quality": {"rows": 500}},
            "quality",
            [("quality.rows", "1000", "500")],
            {"quality": AUGMENTED, "aggregate": 1},
        ),
        (
            {"classifiers": {"same": {"learning_rate": 1e-5}}},
            "train",
            [("classifiers.same.learning_rate", "5e-05", "1e-05")],
            {"train": AUGMENTED, "evaluate": AUGMENTED, "aggregate": 1},
        ),
        (
            {"threads": {"train": 2}},
            "train",
            [("threads.train", "1", "2")],
            {"train": TRAINED, "evaluate": TRAINED, "aggregate": 1},
        ),
        (
            {"augmenters": {"mix": {"filters": {"leaks": "keep"}}}},
            "augment",
            [("augmenters.mix.filters.leaks", '"near"', '"keep"')],
            OF_ONE,
        ),
        (
            {"augmenters": {"mix": {"llm": "local"}}},
            "augment",
            [("augmenters.mix.llm", '"luna"', '"local"')],
            OF_ONE,
        ),
        (
            {"llms": {"luna": {"model": "terra"}}},
            "augment",
            [("llms.luna.model", '"luna"', '"terra"')],
            {stage: 2 * jobs if stage != "aggregate" else 1 for stage, jobs in OF_ONE.items()},
        ),
        (
            {"augmenters": {"words": {"relabel": {"then": "drop"}}}},
            "augment",
            [("augmenters.words.relabel.then", '"replace"', '"drop"')],
            OF_ONE,
        ),
        (
            {"subsample": {"validation": "4s"}},
            "subsample",
            [("subsample.validation", '"2s"', '"4s"')],
            {stage: jobs for stage, jobs in WHOLE.items() if stage != "prepare"},
        ),
    ],
)
def test_a_setting_is_told_by_its_key(
    there: Path, overlay: dict[str, Any], stage: str, changes: list[tuple[str, str, str]], jobs: dict[str, int]
) -> None:
    why = ask(overlay)

    assert why.jobs == jobs
    (group,) = [group for group in why.groups if group.kind == "settings"]
    assert group.stage == stage
    told = [
        (change.key, change.old if change.key != "augmenters.words.relabel" else None, change.new)
        for change in group.changes
    ]
    assert told == changes


def test_words_of_a_prompt_are_told_by_their_dataset(there: Path) -> None:
    why = ask({"datasets": {"mine": {"label_words": {"1": "poor"}}}})

    assert reasons(why) == {"augment": {"datasets.mine.label_words.1"}}
    assert why.jobs["augment"] == 2  # those that ask, on the one dataset
    assert [group.shared for group in why.groups if group.stage == "augment"] == [{"dataset": "mine"}]


def test_the_text_of_a_template_is_told(here: Path) -> None:
    (here / "prompt.jinja").write_text("Write another text.", encoding="utf-8")

    (group, *_) = ask().groups
    assert group.changes == (Change("text of augmenters.own.template", '"Write a text."', '"Write another text."'),)


def test_another_package_of_a_custom_augmenter_is_told(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "newer", "hello_why", "1.3")
    monkeypatch.syspath_prepend(tmp_path / "newer")
    why = ask()

    assert why.jobs == OF_ONE
    assert why.groups[0].changes == (
        Change("package of augmenters.hello.name", '"hello-rows 1.2"', '"hello-rows 1.3"'),
    )


def test_a_raised_method_version_is_told(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHOD_VERSIONS, "train", 99)

    (group, *others) = ask().groups
    assert (group.stage, [change.new for change in group.changes]) == ("train", ["99"])
    assert group.changes[0].key == "method version of train in HyperMix"
    assert [other.kind for other in others] == ["after", "after"]


def test_matched_rows_are_made_before_trainings(there: Path) -> None:
    why = ask({"augmenters": {"more": {"multiplier": 2.0}}})

    assert why.jobs == {**OF_ONE, "train": AUGMENTED + DRAWS, "evaluate": AUGMENTED + DRAWS}
    after = [(group.jobs, tuple(group.after)) for group in why.groups if group.stage == "train"]
    assert after == [(AUGMENTED + DRAWS, ("augment",))]


def test_different_reasons_are_told_apart(there: Path) -> None:
    why = ask({"classifiers": {name: {"batch_size": 4} for name in ("tiny", "same")}, "report": {"level": 0.9}})
    train = [(group.jobs, group.shared, [one.key for one in group.changes]) for group in why.groups[:2]]

    assert train == [
        (AUGMENTED, {"classifier": "tiny"}, ["classifiers.tiny.batch_size"]),
        (AUGMENTED, {"classifier": "same"}, ["classifiers.same.batch_size"]),
    ]
    assert [one.key for one in why.groups[-1].changes] == ["report.level"]  # and not once more what was told above


def test_runtime_is_no_reason(there: Path) -> None:
    limits = {"llms": {"luna": {"limits": {"tries": 2}, "key": {"env": "A_KEY"}}}}

    assert not ask(limits, {"budget": {"requests": 1}, "offline": True, "threads": {"augment": 4}}).groups


# Files.


def one_of(config: Config, stage: str, **keys: Any) -> Any:
    units = list_units(config)[stage].values()
    return next(unit for unit in units if all(unit.keys[name] == value for name, value in keys.items()))


def age(path: str | Path, seconds: float) -> None:
    os.utime(path, (1e9 + seconds, 1e9 + seconds))


def test_a_touched_input_is_no_reason(here: Path) -> None:
    for path in (here / "mine.csv", *(here / "results" / "subsample").rglob("*.parquet")):
        age(path, 10)

    assert not ask().groups


def test_a_changed_input_is_named(here: Path) -> None:
    (here / "mine.csv").write_text("other rows", encoding="utf-8")
    first, *others = ask().groups

    assert first == Group("prepare", 1, "input", {"dataset": "mine"}, files=("mine.csv",))
    assert {(group.kind, tuple(group.shared.items())) for group in others[:-1]} == {("after", (("dataset", "mine"),))}


def test_an_older_input_is_no_reason(here: Path) -> None:
    """As for snakemake: what is compared is what is newer."""
    (here / "mine.csv").write_text("other rows", encoding="utf-8")
    age("mine.csv", -10)

    assert not ask().groups


def test_an_artefact_that_others_were_not_made_from_is_named(here: Path) -> None:
    """A stage was made anew by itself, as `snakemake --until` does."""
    config = load_config(merge(RAW, {"subsample": {"validation": "4s"}}))
    for unit in list_units(config)["subsample"].values():
        write_unit(config, unit)
    why = explain(config)

    assert why.jobs == {stage: jobs for stage, jobs in WHOLE.items() if stage not in {"prepare", "subsample"}}
    assert {group.kind for group in why.groups if group.stage == "augment"} == {"input"}
    assert all("subsample/" in file for group in why.groups if group.stage == "augment" for file in group.files)


def record(output: str, **checksums: str) -> None:
    """Write what snakemake does about an output."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    cut = [name[start : start + 254] for start in range(0, len(name), 254)]
    path = Path(".snakemake", "metadata", *(f"@{part}" for part in cut[:-1]), cut[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"input_checksums": checksums}), encoding="utf-8")


def test_the_content_of_a_model_is_known_by_the_records_of_the_engine(here: Path) -> None:
    model = "encoder/model.safetensors"
    age(model, 10)
    told = {group.stage: group.jobs for group in ask().groups if group.kind == "input"}
    assert told == {"augment": DRAWS, "train": AUGMENTED - DRAWS}  # the other trainings come after the augmentations

    config = load_config(RAW)
    for stage in ("augment", "train"):
        for unit in list_units(config)[stage].values():
            record(unit.files("results")[0], **{model: f"sha256:{file_digest(here / model)}"})
    assert not ask().groups
    (here / model).write_text("other weights", encoding="utf-8")
    assert {file for group in ask().groups for file in group.files} == {model}


def test_what_was_not_finished_is_told(here: Path) -> None:
    unit = one_of(load_config(RAW), "train", classifier="tiny", augmenter="mix")
    file = unit.files("results")[0]
    marker = Path(".snakemake", "incomplete", base64.urlsafe_b64encode(file.encode()).decode())
    marker.parent.mkdir(parents=True)
    marker.touch()
    why = ask()

    assert why.jobs == {"train": 1, "evaluate": 1, "aggregate": 1}
    assert (why.groups[0].kind, why.groups[0].files) == ("unfinished", (file,))


def test_a_file_that_nobody_needs_may_lack(here: Path) -> None:
    """As for snakemake: what is made from it is there, and the history of a training is read by no job."""
    shutil.rmtree(here / "results" / "subsample")
    for history in (here / "results" / "train").rglob("history.parquet"):
        history.unlink()

    assert not ask().groups


def test_a_file_that_lacks_is_made_where_it_is_needed(here: Path) -> None:
    shutil.rmtree(here / "results" / "subsample" / "dataset=mine")
    why = ask({"classifiers": {"tiny": {"learning_rate": 1e-3}}})

    kinds = dict.fromkeys(((group.stage, group.kind) for group in why.groups), 0)
    for group in why.groups:
        kinds[group.stage, group.kind] += group.jobs
    assert kinds == {
        ("subsample", "missing"): 1,
        ("augment", "after"): AUGMENTED // 2,
        ("quality", "after"): AUGMENTED // 2,
        ("train", "settings"): AUGMENTED,
        ("train", "after"): AUGMENTED // 2,
        ("evaluate", "after"): AUGMENTED + AUGMENTED // 2,
        ("aggregate", "after"): 1,
    }


def test_settings_of_a_file_that_lacks_are_told_by_what_was_made_from_it(here: Path) -> None:
    shutil.rmtree(here / "results" / "subsample")
    why = ask({"subsample": {"validation": "4s"}})

    assert why.jobs == {stage: jobs for stage, jobs in WHOLE.items() if stage != "prepare"}


def test_a_report_that_lacks_is_made(here: Path) -> None:
    (here / "results" / "aggregate" / "verdict.json").unlink()

    assert ask().jobs == {"aggregate": 1}


def test_a_damaged_file_is_told(here: Path) -> None:
    """Snakemake does not look into it, so no job runs for it."""
    file = one_of(load_config(RAW), "evaluate", classifier="tiny", augmenter="mix").files("results")[0]
    Path(file).write_bytes(b"PAR1")
    age(file, 0)
    why = ask()

    assert not why.groups
    assert list(why.damaged) == [file]
    assert "delete it" in why.damaged[file]
