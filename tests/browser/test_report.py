from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from hypermix.report.page import render
from tests.report_data import HOSTILE, make_profile, make_quality, make_report, make_runs, make_summary, make_synthetic

WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(make_report()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def large_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = make_runs(augmenters=["none", *[f"a-method-with-a-long-name-{index:02d}" for index in range(11)]])
    labels = [f"a_label_with_a_very_long_name_{index:02d}" for index in range(20)]
    profile = make_profile()
    long = "a_name_without_a_space_" * 20
    data = make_report(
        runs=runs,
        summary=make_summary(runs),
        labels={"rt": labels},
        synthetic=make_synthetic(60, labels=labels),
        profile=profile.assign(dataset=long + profile["dataset"], label=long + profile["label"]),
        words=[{"dataset": long, "llm": long, "rows": [[long, long, [long, long]]]}],
        warnings={long: [long]},
        quality=make_quality([f"a-method-with-a-long-name-{index:02d}" for index in range(11)], [(long, "16s")]),
    )
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(render(data), encoding="utf-8")
    return path.as_uri()


def show(driver: webdriver.Chrome, address: str, width: int = 1280, scheme: str = "light", script: bool = True) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    for kind in ("browser", "performance"):
        logged(driver, kind)
    driver.get("about:blank")
    driver.get(address)


def logged(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def requests(driver: webdriver.Chrome) -> list[str]:
    events: list[dict[str, Any]] = [json.loads(entry["message"])["message"] for entry in logged(driver, "performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def texts(driver: webdriver.Chrome) -> list[str]:
    cells = driver.find_elements(By.CSS_SELECTOR, "#rows-body .text")
    return [str(cell.get_property("textContent")) for cell in cells]


def shown(driver: webdriver.Chrome) -> str:
    return driver.find_element(By.ID, "shown").text


def overflow(driver: webdriver.Chrome) -> int:
    return int(
        driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_verdict_is_seen_first(driver: webdriver.Chrome, address: str, width: int) -> None:
    show(driver, address, width)
    headline = driver.find_element(By.TAG_NAME, "h1")
    assert headline.is_displayed()
    assert headline.text == "Cannot be told from 3 data seeds whether gpt3mix or eda helps on rt."
    assert headline.rect["y"] + headline.rect["height"] < 450


@pytest.mark.parametrize("width", WIDTHS)
def test_console_stays_silent(driver: webdriver.Chrome, address: str, width: int) -> None:
    show(driver, address, width)
    assert logged(driver, "browser") == []


def test_no_host_is_asked(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    asked = requests(driver)
    assert address in asked
    assert [url for url in asked if url not in {address, "about:blank"} and not url.startswith("data:")] == []


@pytest.mark.parametrize("width", [1280, 820, 390, 320])
def test_page_never_scrolls_sideways(driver: webdriver.Chrome, address: str, large_address: str, width: int) -> None:
    for report in (address, large_address):
        show(driver, report, width)
        driver.execute_script("for (const box of document.querySelectorAll('details')) box.open = true")
        assert overflow(driver) == 0


@pytest.mark.parametrize(("width", "layout"), [(1280, "wide"), (390, "narrow")])
def test_one_layout_of_figures_is_shown(driver: webdriver.Chrome, address: str, width: int, layout: str) -> None:
    show(driver, address, width)
    for name in ("wide", "narrow"):
        drawn = driver.find_elements(By.CSS_SELECTOR, f"section > .figures .{name}")
        assert [element.is_displayed() for element in drawn] == [name == layout] * 4


def test_figures_fit_a_phone(driver: webdriver.Chrome, large_address: str) -> None:
    show(driver, large_address, 390)
    outside = driver.execute_script(
        "return [...document.querySelectorAll('.narrow text')].filter(text => {"
        " const box = text.getBoundingClientRect(); return box.left < 0 || box.right > 390; })"
        ".map(text => text.textContent)"
    )
    assert outside == []


def test_search_narrows_the_rows(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    assert shown(driver) == "Rows 1 to 50 of 120."
    driver.find_element(By.ID, "search").send_keys("DRIFTS")
    found = texts(driver)
    assert found
    assert all("drifts" in text for text in found)
    assert "that pass the filters, of 120 in all" in shown(driver)


def test_filters_combine(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    Select(driver.find_element(By.ID, "augmenter")).select_by_visible_text("gpt3mix")
    Select(driver.find_element(By.ID, "label")).select_by_visible_text("negative")
    lines = driver.find_elements(By.CSS_SELECTOR, "#rows-body tr")
    assert lines
    assert all(line.find_element(By.CLASS_NAME, "keys").text.startswith("gpt3mix") for line in lines)
    assert all(line.find_element(By.CSS_SELECTOR, "td:nth-child(2) b").text == "negative" for line in lines)


def test_rejected_rows_show_their_reason(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    use = Select(driver.find_element(By.ID, "use"))
    use.select_by_visible_text("not used")
    cells = [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, "#rows-body td:nth-child(4)")]
    assert len(cells) == 20
    assert set(cells) == {"✕ not used\nno label", "✕ not used\nduplicate"}
    use.select_by_visible_text("not used: duplicate")
    assert len(driver.find_elements(By.CSS_SELECTOR, "#rows-body tr")) < 20


def test_no_match_is_told(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    driver.find_element(By.ID, "search").send_keys("no row has this")
    assert shown(driver) == "No row passes the filters (of 120)."


def test_pages_can_be_turned(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    following = driver.find_element(By.ID, "next")
    for _ in range(2):
        driver.execute_script("arguments[0].click()", following)
    assert shown(driver) == "Rows 101 to 120 of 120."
    assert len(texts(driver)) == 20
    assert not following.is_enabled()
    assert driver.find_element(By.ID, "previous").is_enabled()


def test_bars_show_the_soft_label(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    line = driver.find_element(By.CSS_SELECTOR, "#rows-body .share")
    share = float(line.find_element(By.CLASS_NAME, "value").text.removesuffix(" %")) / 100
    track, bar = (line.find_element(By.CLASS_NAME, name).rect["width"] for name in ("track", "bar"))
    assert bar / track == pytest.approx(share, abs=0.03)


def test_hostile_text_stays_text(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    assert texts(driver)[0] == HOSTILE
    assert driver.execute_script("return window.hostile") is None
    assert driver.find_elements(By.TAG_NAME, "img") == []


def test_policy_blocks_an_injected_script(driver: webdriver.Chrome, address: str, tmp_path: Path) -> None:
    page = render(make_report()).replace("</main>", "<script>window.injected = 1</script></main>")
    path = tmp_path / "injected.html"
    path.write_text(page, encoding="utf-8")
    show(driver, path.as_uri())
    assert driver.execute_script("return window.injected") is None
    assert any("Content Security Policy" in entry["message"] for entry in logged(driver, "browser"))


def test_static_rows_without_script(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address, script=False)
    try:
        assert len(driver.find_elements(By.CSS_SELECTOR, "noscript tbody tr")) == 20
        assert not driver.find_element(By.ID, "browser").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_dark_scheme_changes_colors(driver: webdriver.Chrome, address: str) -> None:
    colors = []
    for scheme in ("light", "dark"):
        show(driver, address, scheme=scheme)
        body = driver.find_element(By.TAG_NAME, "body")
        name = driver.find_element(By.CSS_SELECTOR, ".wide text.f-ink")
        colors.append((body.value_of_css_property("background-color"), name.value_of_css_property("fill")))
    assert colors == [("rgba(255, 255, 255, 1)", "rgb(28, 33, 39)"), ("rgba(20, 24, 28, 1)", "rgb(230, 233, 236)")]


def test_printing_opens_all_details(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, "details:not([open])") == []
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, "details[open]") == []


def open_all(driver: webdriver.Chrome) -> None:
    driver.execute_script("for (const box of document.querySelectorAll('#data details')) box.open = true")


def outside(driver: webdriver.Chrome, selector: str) -> list[str]:
    """Return the texts of visible elements of the data that reach over an edge of their section."""
    found: list[str] = driver.execute_script(
        "const edge = document.getElementById('data').getBoundingClientRect();"
        "return [...document.querySelectorAll(arguments[0])].filter(element => {"
        " const box = element.getBoundingClientRect();"
        " return box.width && (box.left < edge.left || box.right > edge.right + 1); })"
        ".map(element => element.textContent)",
        selector,
    )
    return found


@pytest.mark.parametrize("width", [1400, 800, 380])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_data_fit_the_window(driver: webdriver.Chrome, address: str, width: int, scheme: str) -> None:
    show(driver, address, width, scheme)
    open_all(driver)
    assert overflow(driver) == 0
    for selector in ("#data .splits td", "#data .classes td", "#data .pairs .text", "#data .words td", "#data .token"):
        assert driver.find_element(By.CSS_SELECTOR, selector).is_displayed()
        assert outside(driver, selector) == []


def test_data_fit_a_printed_page(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address, 672)  # A4 less its margins
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    open_all(driver)
    assert driver.find_element(By.CSS_SELECTOR, "#data .splits thead").is_displayed()
    assert outside(driver, "#data td") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_each_number_of_the_data_has_its_header(driver: webdriver.Chrome, address: str, width: int) -> None:
    show(driver, address, width)
    table = driver.find_element(By.CSS_SELECTOR, "#data .splits")
    wide = width == 1280
    assert table.find_element(By.TAG_NAME, "thead").is_displayed() == wide
    cell = table.find_element(By.CSS_SELECTOR, "tbody tr:last-child td:last-child")
    label = driver.execute_script("return getComputedStyle(arguments[0], '::before').content", cell)
    assert label == ("none" if wide else '"nearly in train"')
    assert cell.text == "27"


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (390, False)])
def test_pairs_stand_beside_or_below(driver: webdriver.Chrome, address: str, width: int, beside: bool) -> None:
    show(driver, address, width)
    open_all(driver)
    test, train = (text.rect for text in driver.find_elements(By.CSS_SELECTOR, "#data .pairs li:first-child .text"))
    assert (test["y"] == train["y"]) == beside
    assert (test["x"] == train["x"]) == (not beside)


def test_hostile_pair_stays_text(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    open_all(driver)
    pairs = [str(text.get_property("textContent")) for text in driver.find_elements(By.CSS_SELECTOR, "#data .text")]
    assert HOSTILE in pairs
    assert driver.execute_script("return window.hostile") is None
    assert logged(driver, "browser") == []


def test_the_first_token_looks_different(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    open_all(driver)
    first, other = driver.find_elements(By.CSS_SELECTOR, "#data .words tbody tr:first-child .token")[:2]
    assert (first.text, other.text) == ("␣Neg", "ative")
    for style in ("border-top-width", "font-weight"):
        assert first.value_of_css_property(style) != other.value_of_css_property(style)


def test_many_classes_are_closed_at_first(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address)
    few, many = driver.find_elements(By.CSS_SELECTOR, "#data .classes")
    assert few.is_displayed()
    assert not many.is_displayed()


def test_data_are_read_without_script(driver: webdriver.Chrome, address: str) -> None:
    show(driver, address, 390, script=False)
    try:
        assert "drawn anew for each data seed" in driver.find_element(By.ID, "data").text
        summary = driver.find_element(By.XPATH, "//summary[starts-with(., 'The 77 classes')]")
        summary.send_keys("\n")
        assert driver.find_elements(By.CSS_SELECTOR, "#data .classes")[1].is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
