"""The README's example, from a user's CSV to the report in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from selenium import webdriver

from hypermix.config.load import merge
from tests.browser.test_report import logged, requests, show
from tests.gguf import cache, gemma
from tests.workflow.conftest import ROOT, Workspace, make_workspace, review_rows, write_csv

__all__ = ["cache", "gemma"]

# What makes it a matter of seconds; all else is the README's and the default config's.
QUICK = {
    "seeds": {"data": {"count": 1}},
    "subsample": {"train": ["4s"], "validation": "4s"},
    "classifiers": {"minilm": {"max_steps": 2, "min_steps": 0}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, gemma: Path) -> Workspace:
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [text for text in shown if "source: file" in text]
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    workspace = make_workspace(tmp_path_factory.mktemp("mine"), gemma)
    workspace.config = merge(merge(default, yaml.safe_load(example)), QUICK)
    write_csv(workspace.folder / "reviews.csv", review_rows(60, 5))
    workspace.run()
    return workspace


def test_the_example_asks_about_the_users_data(finished: Workspace) -> None:
    assert [path.name for path in (finished.results() / "prepare").iterdir()] == ["dataset=mine"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_of_a_run_reads_well(finished: Workspace, driver: webdriver.Chrome, width: int) -> None:
    report = finished.results() / "aggregate" / "report.html"
    show(driver, report.as_uri(), width)
    headline = driver.find_element("css selector", "h1").text
    assert "cannot be told" in headline.lower()
    assert logged(driver, "browser") == []
    assert requests(driver) == [report.as_uri()]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width  # type: ignore[no-untyped-call]
    assert len(driver.find_elements("css selector", "#rows-body tr")) == 16  # 8 copies, 8 rows by the model or more
