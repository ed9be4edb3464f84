from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt

from hypermix.report.card import Base, Card, Data, Judged, Synthetic, Training, card_text
from tests.unit.report.test_markdown import HOSTILE, inside

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
NO_ROWS = Synthetic("none", {"method": "none"}, None, None, 0, 0, dict.fromkeys(("requests",), 0))
MIXED = Synthetic(
    "mix",
    {"method": "gpt3mix", "examples": 4, "label_source": None},
    "luna (chat)",
    None,
    kept=1234,
    rejected=56,
    spent={"requests": 2000, "prompt_tokens": 1_234_567, "completion_tokens": 89_000, "usd": 0.1679},
)


def study(**columns: Any) -> pd.DataFrame:
    rows = [
        ("16s", "accuracy", 5, 0.701, 0.65, 0.75, 32.0),
        ("32s", "accuracy", 5, 0.755, 0.71, 0.8, 64.0),
        ("32s", "log_loss", 1, 0.5, float("nan"), float("nan"), 64.0),
    ]
    names = ["subsample", "metric", "n_seeds", "mean", "ci_low", "ci_high", "n_train"]
    return pd.DataFrame(rows, columns=names).assign(**columns)


CARD = Card(
    data=Data("mine", "the file reviews.csv", None, None, {"bad": (60, 20), "good": (70, 22)}, repeated=False),
    base=Base("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0"),
    synthetic=MIXED,
    training=Training(
        "minilm",
        {"learning_rate": 5e-05, "max_length": 512, "validate_every": None},
        n_train=130,
        steps=250,
        best_epoch=3,
        seeds={"of the data": 42, "of the training": 7},
        versions={"hypermix": "0.1.0", "torch": "2.13.0+cpu"},
    ),
    judged=Judged(
        metrics={"accuracy": 0.8125, "macro_f1": 0.81, "mcc": 0.62, "log_loss": 0.4, "brier": 0.2, "ece": 0.05},
        accuracy=(0.75, 0.86),
        n_test=160,
        study=study(),
        level=0.95,
        why="At 32s a gain is shown for mix; of these and the simplest one, mix has the highest mean accuracy.",
        headline="mix helps on mine: +3.0 points against none, over 7 data seeds.",
        sentences=[("16s", "mix cannot be told apart from none."), ("32s", "mix helps against none: +3.0 points.")],
    ),
    license="mit",
    language="en",
)


def front(text: str) -> dict[str, Any]:
    """Read the front matter as the hub does."""
    found = re.match(r"\A---\n(.*?\n)---\n", text, re.DOTALL)
    assert found
    loaded: dict[str, Any] = yaml.safe_load(found.group(1))
    return loaded


def section(text: str, title: str) -> str:
    body = text.split(f"## {title}\n")[1]
    return body.split("\n## ")[0]


def test_front_matter_is_the_hubs() -> None:
    card = replace(CARD, data=replace(CARD.data, hub_id="SetFit/sst2"))

    assert front(card_text(card)) == {
        "language": "en",
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["hypermix"],
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "datasets": ["SetFit/sst2"],
        "metrics": ["accuracy", "f1", "matthews_correlation"],
    }


def test_front_matter_says_nothing_that_is_not_known() -> None:
    card = replace(CARD, base=replace(CARD.base, hub_id=None), license=None, language=None)

    assert set(front(card_text(card))) == {"library_name", "pipeline_tag", "tags", "metrics"}


@pytest.mark.parametrize("text", ["a: b\n---\nlicense: mit", "!!python/object/apply:os.system [ls]", "- x", "'", "# x"])
def test_front_matter_keeps_hostile_yaml_as_text(text: str) -> None:
    card = replace(CARD, base=replace(CARD.base, hub_id=text), data=replace(CARD.data, hub_id=text))
    told = front(card_text(card))

    assert (told["base_model"], told["datasets"], told["license"]) == (text, [text], "mit")


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_do_nothing(text: str) -> None:
    """The same card with a harmless text in its place has the same structure."""

    def kinds(name: str) -> list[tuple[str, str]]:
        card = replace(
            CARD,
            data=replace(CARD.data, source=name, license=name, classes={name: (1, 2), "good": (3, 4)}),
            base=replace(CARD.base, name=name, license=name),
            synthetic=replace(MIXED, llm=name, settings={"extra": name}, terms=name),
            judged=replace(CARD.judged, why=name, headline=name, sentences=[("16s", name)]),
        )
        tokens = inside(PARSER.parse(card_text(card).split("---\n", 2)[2]))
        return [
            (token.type, token.content if token.type == "fence" else "")
            for token in tokens
            if not token.type.startswith("text")
        ]

    assert kinds(text) == kinds("harmless")


def test_hostile_label_is_shown_whole() -> None:
    classes = {"<b>|\n# pos": (60, 20), "good": (70, 22)}
    text = card_text(replace(CARD, data=replace(CARD.data, classes=classes)))

    assert r"| &lt;b&gt;\| \# pos | 60 | 20 |" in text
    assert "<b>" not in text


def test_data_is_counted_by_label() -> None:
    told = section(card_text(CARD), "Data")

    assert "Source: the file reviews.csv. License: not known." in told
    assert [line for line in told.splitlines() if line.startswith("|")][2:] == [
        "| bad | 60 | 20 |",
        "| good | 70 | 22 |",
        "| all | 130 | 42 |",
    ]
    assert "none to a test row" in told


def test_synthetic_rows_are_told_with_their_price() -> None:
    told = section(card_text(CARD), "Synthetic rows").replace("\u202f", " ")

    assert "The augmenter mix gave 1 234 rows; 56 more were rejected." in told
    assert "written by luna (chat): 2 000 requests, 1 234 567 tokens of prompts, 89 000 tokens of answers" in told
    assert "US dollars: 0.17." in told
    assert "| `examples` | 4 |" in told
    assert "| `label_source` | null |" in told


def test_unknown_price_is_no_zero() -> None:
    synthetic = replace(MIXED, spent={**MIXED.spent, "usd": None})

    assert "US dollars: unknown." in card_text(replace(CARD, synthetic=synthetic))


def test_a_model_without_synthetic_rows_says_so() -> None:
    text = card_text(replace(CARD, synthetic=NO_ROWS))

    assert section(text, "Synthetic rows").strip() == "None: the augmenter is none."
    assert "language model" not in section(text, "Licenses")
    assert "labelled rows for training. At 32s" in text


def test_verdict_has_the_reports_sentences() -> None:
    told = section(card_text(CARD), "Does augmentation help?")

    assert told.strip().splitlines() == [
        "mix helps on mine: +3.0 points against none, over 7 data seeds.",
        "",
        "- 16s: mix cannot be told apart from none.",
        "- 32s: mix helps against none: +3.0 points.",
    ]


def test_own_quality_has_its_interval() -> None:
    told = section(card_text(CARD), "Quality of this model")

    assert "Of 160 test rows this very model gets 81.2 % right (95 % interval 75.0 to 86.0 %" in told
    assert "| Matthews correlation | 0.620 |" in told


def test_estimates_of_the_experiment_are_told_apart() -> None:
    told = section(card_text(CARD), "Quality in the experiment")

    assert "smaller subsamples" in told
    assert "not how good this model is" in told
    assert "| accuracy, % at 16s | 32 | 5 | 70.1 | 65.0 to 75.0 |" in told
    assert "| log loss, nats at 32s | 64 | 1 | 0.500 | not defined |" in told
    assert "The verdict is about 32, 64 train rows. It does not tell" in card_text(CARD)


def test_a_variant_without_runs_has_no_estimates() -> None:
    text = card_text(replace(CARD, judged=replace(CARD.judged, study=study().head(0))))

    assert section(text, "Quality in the experiment").strip().startswith("No run of the experiment has this variant")
    assert "The verdict is about" not in text


def test_repeated_splits_are_a_limit() -> None:
    card = replace(CARD, data=replace(CARD.data, repeated=True))

    assert "one draw of several" in section(card_text(card), "Limits")
    assert "one draw of several" not in card_text(CARD)


def test_licenses_are_told_or_not_known() -> None:
    told = section(card_text(CARD), "Licenses").strip().splitlines()
    assert told[:4] == [
        "- This model: mit.",
        "- Base model, sentence-transformers/all-MiniLM-L6-v2: Apache-2.0.",
        "- Data, the file reviews.csv: not known.",
        "- Output of the language model, luna (chat): not known.",
    ]

    assert "- This model: no license is set." in card_text(replace(CARD, license=None))


def test_use_is_shown_as_code() -> None:
    fences = [token.content for token in PARSER.parse(card_text(CARD)) if token.type == "fence"]

    (code,) = fences
    compile(code, "card", "exec")
    assert 'pipeline("text-classification"' in code


def test_equal_models_have_equal_cards() -> None:
    assert card_text(CARD) == card_text(replace(CARD))
    assert card_text(CARD).endswith("\n")


@pytest.mark.parametrize(
    ("settings", "classes", "used", "which"),
    [
        (
            {"patience": 10, "keep": "best"},
            (60, 20),
            "when training stopped and which weights were kept",
            "best on the",
        ),
        ({"patience": 10, "keep": "last"}, (60, 20), "when training stopped;", "the last."),
        ({"patience": None, "keep": "best"}, (60, 20), "decided which weights were kept;", "best on the validation"),
        ({"patience": None, "keep": "last"}, (60, 20), "decided nothing;", "the last."),
        ({"patience": 10, "keep": "best"}, (60, 0), "decided nothing;", "the last."),
    ],
)
def test_use_of_validation_rows_is_that_of_the_recipe(
    settings: dict[str, Any], classes: tuple[int, int], used: str, which: str
) -> None:
    data = replace(CARD.data, classes={"bad": classes, "good": classes})
    text = card_text(replace(CARD, data=data, training=replace(CARD.training, settings=settings)))
    assert used in section(text, "Data")
    assert f"which were {which}" in section(text, "Training")
