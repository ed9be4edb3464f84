"""A study of 6 methods, 3 sizes and 20 data seeds with 5,000 rows, in a browser."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from hypermix.report.page import render
from tests.browser.test_report import logged, overflow, requests, show, shown, texts
from tests.report_data import HOSTILE, make_study, make_synthetic

N_ROWS = 5000
SLOWEST_MS = 100
"""How long an input event may take until its rows stand there."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    study = make_study(n_rows=N_ROWS)
    other = make_synthetic(4).assign(dataset="films", subsample="8s", text=[HOSTILE, "x" * 10_000, '"', "'"])
    labels = {**study.labels, "films": study.labels["rt"]}
    synthetic = pd.concat([study.synthetic, other], ignore_index=True)
    path = tmp_path_factory.mktemp("study") / "report.html"
    path.write_text(render(replace(study, synthetic=synthetic, labels=labels)), encoding="utf-8")
    return path.as_uri()


def shares(driver: webdriver.Chrome, label: str) -> list[float]:
    """Return the share of a label, in percent, in each row that is shown and has it."""
    found: list[float] = driver.execute_script(
        "return [...document.querySelectorAll('#rows-body .share')]"
        ".filter(line => line.firstChild.textContent === arguments[0])"
        ".map(line => parseFloat(line.lastChild.textContent))",
        label,
    )
    return found


def choose(driver: webdriver.Chrome, name: str, text: str) -> None:
    Select(driver.find_element(By.ID, name)).select_by_visible_text(text)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (800, "dark"), (380, "light")])
def test_a_study_is_shown_without_complaint(driver: webdriver.Chrome, address: str, width: int, scheme: str) -> None:
    show(driver, address, width, scheme)
    driver.execute_script("for (const box of document.querySelectorAll('details')) box.open = true")
    assert overflow(driver) == 0
    assert driver.execute_script("return window.hostile") is None
    assert logged(driver, "browser") == []
    assert [
        url for url in requests(driver) if url not in {address, "about:blank"} and not url.startswith("data:")
    ] == []


def test_every_figure_is_there(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    titles = [title.get_attribute("textContent") for title in driver.find_elements(By.CSS_SELECTOR, ".wide svg title")]
    assert titles == [
        "Accuracy by method, in percent",
        "How often predictions are right, by their probability",
        "Accuracy against subsample size, in percent",
        "Paired differences in accuracy, in points",
        "Validation accuracy by training step, in percent",
        "Cost against gain in accuracy",
    ]


def test_names_stand_inside_their_figure(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    driver.execute_script("for (const box of document.querySelectorAll('details')) box.open = true")
    outside = driver.execute_script(
        "return [...document.querySelectorAll('.wide svg')].flatMap(svg => { const edge = svg.getBoundingClientRect();"
        " return [...svg.querySelectorAll('text')].filter(text => { const box = text.getBoundingClientRect();"
        " return box.left < edge.left - 1 || box.right > edge.right + 1; }).map(text => text.textContent); })"
    )
    assert outside == []


def test_no_input_is_slow(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    seconds = driver.execute_script(
        "const events = [['search', 'drifts'], ['search', ''], ['label', '=positive'], ['order', 'sure'],"
        " ['search', 'f'], ['use', 'rejected'], ['use', ''], ['order', 'unsure']];"
        "return events.map(([id, value]) => {"
        " const input = document.getElementById(id), from = performance.now();"
        " input.value = value; input.dispatchEvent(new Event(id === 'search' ? 'input' : 'change'));"
        " document.body.getBoundingClientRect(); return performance.now() - from; })"
    )
    assert sorted(seconds)[len(seconds) // 2] < SLOWEST_MS


def test_rows_are_sorted_by_their_surest_label(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    choose(driver, "order", "soft label, least sure first")
    likeliest = [max(pair) for pair in zip(shares(driver, "negative"), shares(driver, "positive"), strict=True)]
    assert likeliest[:5] == sorted(likeliest)[:5]
    assert likeliest[0] == pytest.approx(50, abs=0.5)


def test_rows_are_sorted_by_the_chosen_label(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    choose(driver, "label", "negative")
    choose(driver, "order", "soft label, least sure first")
    found = shares(driver, "negative")
    assert len(found) == 50
    assert found == sorted(found)
    assert found[0] >= 50


def test_rows_without_a_soft_label_come_last(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    choose(driver, "order", "soft label, surest first")
    assert driver.find_element(By.CSS_SELECTOR, "#rows-body td:nth-child(4)").text == "✓ used"


def test_a_dataset_can_be_chosen(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    choose(driver, "dataset", "films")
    assert [text[:10] for text in texts(driver)] == [HOSTILE[:10], "x" * 10, '"', "'"]
    assert "cut: the text has 10000 characters" in driver.find_element(By.ID, "rows-body").text
    assert driver.execute_script("return window.hostile") is None


def test_rows_can_be_read_with_the_keyboard_alone(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    search = driver.find_element(By.ID, "search")
    search.send_keys("(13")
    search.send_keys(Keys.TAB)
    assert driver.switch_to.active_element.get_attribute("id") == "augmenter"
    assert "that pass the filters" in shown(driver)
    following = driver.find_element(By.ID, "next")
    pages = int(driver.find_element(By.ID, "page").text.split()[-1])
    following.send_keys(Keys.ENTER)
    assert driver.find_element(By.ID, "page").text == f"Page 2 of {pages}"
    for _ in range(pages - 2):
        driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "previous"  # the other one cannot have the focus


def test_print_has_the_rows_and_no_controls(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address, 672)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert not driver.find_element(By.ID, "filters").is_displayed()
    assert not driver.find_element(By.ID, "next").is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "#rows-body tr").is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "#sizes .wide").is_displayed()
    assert not driver.find_element(By.CSS_SELECTOR, "#sizes .narrow").is_displayed()
