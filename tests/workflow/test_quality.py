"""The rule quality, with enough rows that their measures mean something; no language model is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hypermix import tables
from hypermix.files import read_provenance
from tests.workflow.conftest import TINY, Workspace, review_rows, write_csv


def make_study(folder: Path) -> Workspace:
    workspace = Workspace(folder)
    for seed, (name, n) in enumerate({"train": 160, "validation": 8, "test": 60}.items()):
        write_csv(folder / f"{name}.csv", review_rows(n, seed))
    methods = ("none", "duplicate", "real")
    workspace.config = {
        **TINY,
        "subsample": {"train": ["20s"], "validation": "2s", "test": None},
        "seeds": {"data": [1], "trials": [7]},
        "augmenters": {name: {"method": name} for name in methods},
        "classifiers": {"probe": {"method": "probe"}},
    }
    return workspace


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make_study(tmp_path_factory.mktemp("quality"))
    workspace.run()
    return workspace


def test_draws_are_measured(study: Workspace) -> None:
    found = tables.read(study.results() / "aggregate" / "quality.parquet", "all_quality")
    values = found.pivot_table(index="measure", columns="augmenter", values="value")
    assert set(values.columns) == {"duplicate", "real"}  # `none` has no rows and all null
    assert values["duplicate"]["copy_rate"] == values["duplicate"]["prompt_copy_rate"] == 1
    assert values["duplicate"]["nearest_train_distance"] == pytest.approx(0, abs=1e-6)
    assert values["real"]["copy_rate"] == 0
    assert values["real"]["nearest_train_distance"] > 0.001
    assert values["real"]["judge_agreement"] > 0.8
    assert values["real"]["tries_per_row"] == values["duplicate"]["usable_share"] == 1
    assert set(found.loc[found["augmenter"] == "none", "value"].isna()) == {True}


def test_report_tells_them(study: Workspace) -> None:
    page = (study.results() / "aggregate" / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="quality"') : page.index('<section id="costs"')]
    assert re.findall(r'<th scope="col" class="number">(.*?)</th>', section) == ["real", "duplicate"]
    copies = section[section.index('<th scope="row">copies, %<') :]
    assert copies[: copies.index("</tr>")].count("<b>") == 1  # the controls of real texts have labels alone
    assert (
        "Not shown, since the rows are too few or it has no meaning for them: entropy of soft labels, calibration"
        in section
    )


def test_a_setting_of_quality_measures_again_and_trains_nothing(study: Workspace) -> None:
    before = study.config
    study.config = {**before, "quality": {"rows": 200}}
    try:
        planned = study.run("-n", "--quiet", "rules")
    finally:
        study.config = before
    jobs = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", planned, re.M) if name != "total"}
    assert jobs == {"quality": 3, "aggregate": 1, "all": 1}


def test_jobs_alone_give_the_same_bytes(study: Workspace) -> None:
    files = sorted((study.results() / "quality").rglob("*.parquet"))
    before = [path.read_bytes() for path in files]
    assert all(read_provenance(path)["slices"]["quality"] for path in files)
    study.run("--no-hooks", "--forcerun", "quality", "--until", "quality")
    assert [path.read_bytes() for path in files] == before
