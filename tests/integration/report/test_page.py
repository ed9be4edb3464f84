from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from hypermix.errors import ArtefactError
from hypermix.report.page import render
from tests.report_data import (
    HOSTILE,
    make_comparisons,
    make_costs,
    make_profile,
    make_quality,
    make_report,
    make_runs,
    make_study,
    make_summary,
    make_synthetic,
    make_verdict,
)

ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9]", re.IGNORECASE)


class Elements(HTMLParser):
    """Collects tags with their attributes, and the texts of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        self.texts[len(self.tags) - 1] = self.texts.get(len(self.tags) - 1, "") + data

    def named(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def contents(self, name: str) -> list[str]:
        return [self.texts.get(index, "") for index, (tag, _) in enumerate(self.tags) if tag == name]


@pytest.fixture(scope="module")
def html() -> str:
    return render(make_report())


@pytest.fixture(scope="module")
def elements(html: str) -> Elements:
    return Elements(html)


def test_same_data_give_same_bytes(html: str) -> None:
    assert render(make_report()).encode() == html.encode()


def test_verdict_stands_before_numbers(html: str) -> None:
    headline = html.index("<h1")
    assert headline < html.index("<h2") < html.index("<svg xmlns") < html.index('id="costs"') < html.index('id="setup"')


def test_outcome_is_told_in_words(html: str) -> None:
    before = html[: html.index("<h1")]
    assert "<span>Cannot tell</span>" in before


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("helps", "Helps"),
        ("hurts", "Hurts"),
        ("mixed", "Mixed"),
        ("no_difference", "No difference found"),
        ("cannot_tell", "Cannot tell"),
    ],
)
def test_every_outcome_can_be_shown(outcome: str, word: str) -> None:
    verdict = make_verdict(make_comparisons(make_runs()), outcome)
    assert render(make_report(verdict=verdict)).count(f"<span>{word}</span>") == 3


def test_nothing_is_loaded_from_anywhere(elements: Elements) -> None:
    for _, attributes in elements.tags:
        addresses = [value or "" for name, value in attributes.items() if name in {"src", "href", "srcset", "action"}]
        assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not any(ADDRESS.search(text) for text in elements.contents("style") + elements.contents("script")[-1:])


def test_only_namespaces_look_like_addresses(html: str) -> None:
    assert not ADDRESS.search(html.replace("http://www.w3.org/2000/svg", ""))


def test_policy_allows_the_inlined_texts(elements: Elements) -> None:
    (policy,) = [tag["content"] or "" for tag in elements.named("meta") if tag.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    for text in (elements.contents("style")[0], elements.contents("script")[-1]):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy


def test_no_inline_styles_and_handlers(elements: Elements) -> None:
    for _, attributes in elements.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_ids_stand_once(elements: Elements) -> None:
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_input_has_a_label(elements: Elements) -> None:
    labelled = {attributes["for"] for attributes in elements.named("label")}
    assert {attributes["id"] for attributes in elements.named("input", "select")} == labelled


def test_every_table_has_caption_and_scopes(elements: Elements) -> None:
    assert len(elements.named("table")) == len(elements.named("caption"))
    assert all(attributes.get("scope") in {"col", "row"} for attributes in elements.named("th"))


def test_page_has_its_landmarks(elements: Elements) -> None:
    assert len(elements.named("main")) == len(elements.named("h1")) == len(elements.named("header")) == 1
    assert all(attributes.get("aria-label") for attributes in elements.named("nav"))


def test_links_lead_to_sections(elements: Elements) -> None:
    ids = {attributes["id"] for _, attributes in elements.tags if "id" in attributes}
    links = {(attributes["href"] or "").removeprefix("#") for attributes in elements.named("a")}
    assert links <= ids


def test_hostile_text_makes_no_element(html: str, elements: Elements) -> None:
    assert "<img" not in html
    assert HOSTILE not in html
    assert len(elements.named("script")) == 2
    assert json.loads(elements.contents("script")[0])["text"][0] == HOSTILE


def test_hostile_names_are_escaped() -> None:
    shown = render(
        make_report(
            notices=[HOSTILE],
            config_yaml=HOSTILE,
            commands=[HOSTILE],
            versions={HOSTILE: HOSTILE},
            seeds={HOSTILE: [1]},
            labels={"rt": [HOSTILE, "positive"]},
            verdict={**make_verdict(make_comparisons(make_runs())), "headline": HOSTILE},
        )
    )
    assert "<img" not in shown
    assert len(Elements(shown).named("script")) == 2


def test_static_table_has_twenty_rows(html: str) -> None:
    table = html[html.index("<noscript>") : html.index("</noscript>")]
    assert table.count("<tr><td>") == 20


def test_sample_is_called_a_sample(html: str) -> None:
    assert "A sample of 120 of 1\u202f200 rows." in html
    assert "All 120 rows." in render(make_report(n_synthetic_total=120))


def test_no_synthetic_rows_are_told() -> None:
    shown = render(make_report(synthetic=make_synthetic(0), n_synthetic_total=0))
    assert "This experiment made no synthetic rows." in shown
    assert "rows-data" not in Elements(shown).contents("main")
    assert not [tag for tag in Elements(shown).named("script") if tag.get("id") == "rows-data"]


def test_one_seed_shows_no_nan() -> None:
    runs = make_runs(seeds=[1])
    shown = render(make_report(runs=runs, summary=make_summary(runs)))
    assert not re.search(r"\bnan\b", shown, re.IGNORECASE)
    assert "not defined" in shown


def test_no_comparisons_are_told() -> None:
    empty = make_comparisons(make_runs()).iloc[:0]
    verdict: dict[str, Any] = {**make_verdict(empty, "nothing"), "headline": "Nothing to compare: no baseline."}
    shown = render(make_report(comparisons=empty, verdict=verdict))
    assert "There is nothing to compare" in shown
    assert "<span>Nothing to compare</span>" in shown


def test_no_runs_are_told() -> None:
    runs = make_runs().iloc[:0]
    summary = make_summary(make_runs()).iloc[:0]
    empty = make_comparisons(make_runs()).iloc[:0]
    shown = render(make_report(runs=runs, summary=summary, comparisons=empty, verdict=make_verdict(empty, "nothing")))
    assert "The experiment has no runs yet." in shown


def test_many_methods_and_labels_fit() -> None:
    runs = make_runs(augmenters=["none", *[f"method-{index}" for index in range(11)]])
    labels = [f"a-label-with-a-long-name-{index:02d}" for index in range(20)]
    shown = render(
        make_report(
            runs=runs, summary=make_summary(runs), labels={"rt": labels}, synthetic=make_synthetic(30, labels=labels)
        )
    )
    assert all(shown.count(label) >= 2 for label in labels)
    assert "The other 3 verdicts" in shown


def test_unknown_price_is_told(html: str) -> None:
    assert "What these cost is unknown: gpt3mix-lab." in html
    assert '<b>0.00</b><span class="of">runs here</span>' in html


def test_answers_of_no_use_have_their_share(html: str) -> None:
    assert '<td class="number">41<span class="of">3.2 %</span></td>' in html


def test_what_was_paid_this_time_is_told_and_what_may_have_been(html: str) -> None:
    costs = html[html.index('id="costs"') :]
    assert "0.06 US dollars of it were paid when these rows were made; the rest is the price of answers" in costs
    assert "1 request was sent without an answer being stored" in costs


def test_no_costs_make_no_table() -> None:
    shown = render(make_report(costs=make_costs().iloc[:0]))
    assert "No language model was asked" in shown
    assert "completion tokens" not in shown


def test_setup_tells_how_to_repeat(html: str) -> None:
    setup = html[html.index('id="setup"') :]
    for text in ("snakemake --cores all --configfile config/config.yaml", "2.13.0", "101, 102, 103", "rt-snippets"):
        assert text in setup


def test_notices_stand_with_the_verdict(html: str) -> None:
    assert html.index("has 3 rows, 16 were asked") < html.index('id="accuracy"')


def test_lone_surrogates_can_be_saved() -> None:
    assert render(make_report(notices=["a\ud800b"])).encode("utf-8")


def test_wrong_soft_label_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="run augment again"):
        render(make_report(labels={"rt": ["only"]}))


@pytest.fixture(scope="module")
def data_html(html: str) -> str:
    return html[html.index('<section id="data"') : html.index('<section id="rows"')]


def test_data_stand_between_results_and_rows(html: str, elements: Elements) -> None:
    assert html.index('id="differences"') < html.index('id="data"') < html.index('id="rows"')
    assert "#data" in [attributes["href"] for attributes in elements.named("a")]


def test_each_dataset_has_its_part(data_html: str) -> None:
    assert re.findall(r"<h3>(.*?)</h3>", data_html) == ["rt", "intents"]
    assert data_html.count("drawn anew for each data seed") == 2
    assert "Train lost 1\u202f237 rows" in data_html
    assert "they are left out</li>" in data_html


def test_many_classes_are_folded_away(data_html: str) -> None:
    before, classes = data_html.split("The 77 classes of intents, largest first</summary>")
    assert before.endswith("<details>\n<summary>")
    assert classes[: classes.index("</details>")].count('<th scope="row">') == 77
    assert '<th scope="row">mixed</th><td class="number">0</td>' in before


def test_headers_of_narrow_pages_are_those_of_the_table(data_html: str) -> None:
    splits = data_html[data_html.index('<table class="splits">') : data_html.index("</table>")]
    headers = re.findall(r'<th scope="col" class="number">(.*?)</th>', splits)
    assert re.findall(r'data-header="(.*?)"', splits) == headers * 3


def test_first_tokens_are_marked(data_html: str) -> None:
    assert '<mark class="token">␣Neg</mark> <span class="token">ative</span>' in data_html
    assert data_html.count("<mark") == 2 + 77
    assert "the tokens do not spell the word" in data_html


def test_pairs_stand_side_by_side(data_html: str) -> None:
    pairs = data_html[data_html.index("nearly stand in train: 3 of 27</summary>") :]
    assert pairs.count('<p class="side">in test</p>') == pairs.count('<p class="side">in train</p>') == 3
    assert pairs.count('dir="auto"') == 6


def test_data_escape_hostile_names() -> None:
    profile = make_profile().assign(dataset=HOSTILE)
    profile["label"] = profile["label"].where(profile["label"].isna(), HOSTILE + profile["label"].astype(str))
    words = [{"dataset": HOSTILE, "llm": HOSTILE, "rows": [[HOSTILE, HOSTILE, [HOSTILE, HOSTILE]]]}]
    shown = render(make_report(profile=profile, words=words, warnings={HOSTILE: [HOSTILE]}))
    assert "<img" not in shown
    assert len(Elements(shown).named("script")) == 2
    assert shown.count("&lt;/script&gt;&lt;script&gt;window.hostile") > 80  # the classes alone are 80


def test_no_profile_is_told() -> None:
    report = make_report(profile=make_report().profile.iloc[:0], words=[], warnings={})
    assert "No profile of the data is at hand." in render(report)


def test_a_report_of_a_thousand_runs_stays_small() -> None:
    names = ["none", "duplicate", *(f"a-method-with-a-long-name-{index:02d}" for index in range(10))]
    study = make_study(names, ["16s", "64s"], range(1, 22))
    assert len(study.runs) >= 1000
    assert len(render(study).encode()) < 3_000_000


def test_texts_of_many_long_rows_are_cut() -> None:
    synthetic = make_synthetic(2000).assign(text="long " * 2000)
    html = render(make_report(synthetic=synthetic))
    assert len(html.encode()) < 3_000_000
    rows = json.loads(Elements(html).contents("script")[0])
    assert set(rows["length"]) == {10_000}
    assert set(map(len, rows["text"])) == {500}


def test_every_section_of_second_looks_is_there(html: str) -> None:
    for heading in ("Classes", "Where the spread comes from", "Calibration", "Second opinions"):
        assert f"<summary>{heading}</summary>" in html
    assert "Across datasets" not in html


def test_several_datasets_have_ranks() -> None:
    runs = make_runs(datasets=["rt", "ag"])
    html = render(make_report(runs=runs, summary=make_summary(runs), comparisons=make_comparisons(runs)))
    assert "Across datasets" in html
    assert "over 2 datasets; 1 is best" in html


def test_an_experiment_without_any_run_has_a_report() -> None:
    full = make_report()
    frames = [name for name, value in vars(full).items() if isinstance(value, pd.DataFrame) and name != "profile"]
    nothing = {name: getattr(full, name).iloc[:0] for name in frames}
    html = render(make_report(**nothing, verdict={**full.verdict, "verdicts": [], "outcome": "nothing"}))
    assert "The experiment has no runs yet." in html
    assert "This experiment made no synthetic rows." in html


def test_many_settings_leave_the_page_small() -> None:
    augmenters = ("none", "duplicate", *[f"mix{number}" for number in range(8)])
    datasets, subsamples = tuple(f"d{number}" for number in range(5)), ("4s", "8s", "16s", "32s", "64s")
    runs = make_runs(augmenters, (1, 2), datasets, subsamples)
    labels = {name: ["negative", "positive", "c", "e"] for name in datasets}
    synthetic = make_synthetic(2000, labels["d0"]).assign(dataset="d0")
    settings = [(dataset, subsample) for dataset in datasets for subsample in subsamples]
    quality = make_quality(augmenters[1:], settings)
    html = render(make_report(runs=runs, labels=labels, synthetic=synthetic, quality=quality))
    assert len(runs) == 1000
    assert len(html.encode()) < 3_000_000
    assert '<div class="only">' in html
    assert '<div class="narrow">' not in html
    assert "Calibration is drawn for up to 12 settings" in html
