"""Filters and relabeling in a whole draw: what is read, written and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.errors import AugmentError
from hypermix.files import read_provenance, read_table
from hypermix.report.forecast import Span
from hypermix.steps.plan import forecast
from tests.integration.steps.chain import Chain, MakeChain
from tests.integration.steps.planned import line
from tests.integration.steps.speaker import Speaker
from tests.tiny import toy_rows, write_csv

LOOSE = {"copies": "keep", "similarity": 0.5}
"""All that the speaker says is of one form: at this bound each row is near the others."""


def with_test_row(make_asking: MakeChain, folder: Path, text: str, **mix: Any) -> Chain:
    rows = [*toy_rows(20, 2), (text, "positive")]
    settings = {"labels": "hard", "attempts": 2, **mix}
    return make_asking(
        draw=(11,),
        seeds={"data": [11]},
        datasets={"toy": {"test": str(write_csv(folder / "leaks.csv", rows))}},
        subsample={"test": "2s"},
        augmenters={"mix": settings},
    )


def test_rows_like_a_test_row_are_refused_though_it_was_not_drawn(make_asking: MakeChain, tmp_path: Path) -> None:
    chain = with_test_row(make_asking, tmp_path, "A bright film!", filters=LOOSE)
    drawn = read_table(chain.drawn(chain.key("mix"))["test"], "test")
    assert "A bright film!" not in set(drawn["text"])
    with pytest.raises(AugmentError, match=r"(?s)none of 8 answers can be used.*\(near a test row\)") as caught:
        chain.augment(chain.key("mix"))
    assert "loosen the augmenter's filters" in str(caught.value)
    assert line(forecast(chain.config)).amount.requests == Span(0, 0)


def test_leaks_may_be_kept(make_asking: MakeChain, tmp_path: Path) -> None:
    chain = with_test_row(make_asking, tmp_path, "A bright film!", filters={**LOOSE, "leaks": "keep"})
    chain.augment(chain.key("mix"))
    path = chain.augmented(chain.key("mix"))["synthetic"]
    assert read_table(path, "synthetic")["kept"].all()
    assert set(read_provenance(path)["inputs"]) == {"train"}


def test_refused_rows_stay_with_their_reason(make_asking: MakeChain, caplog: pytest.LogCaptureFixture) -> None:
    mix = {"labels": "hard", "attempts": 2, "filters": {"quota": 1.0}}
    chain = make_asking(draw=(11,), seeds={"data": [11]}, augmenters={"mix": mix})
    chain.augment(chain.key("mix"))
    rows = read_table(chain.augmented(chain.key("mix"))["synthetic"], "synthetic")
    # All that the speaker says is positive.
    assert rows["kept"].tolist() == [True, True, False, False, False, False]
    assert rows["reason"].tolist()[2:] == ["class is full"] * 4
    assert rows["text"].notna().all()
    assert rows["id"].is_unique
    assert caplog.messages == ["2 of 4 rows were made; the others could not be used in 2 tries (class is full: 4)"]


def test_labels_of_a_classifier_are_written(make_asking: MakeChain, speaker: Speaker) -> None:
    mix = {"labels": "hard", "relabel": {"by": "classifier"}}
    chain = make_asking(draw=(11,), seeds={"data": [11]}, augmenters={"mix": mix})
    chain.augment(chain.key("mix"))
    path = chain.augmented(chain.key("mix"))["synthetic"]
    rows = read_table(path, "synthetic")
    assert set(rows["label_source"]) == {"relabeled by classifier"}
    labels = read_provenance(path)["labels"]
    for label, shares in rows[["label", "soft_label"]].itertuples(index=False):
        assert sum(shares) == pytest.approx(1.0)
        assert label == labels[list(shares).index(max(shares))]
        assert min(shares) > 0.0
    encoder = read_provenance(path)["encoder"]
    assert encoder["weights"]
    before = path.read_bytes()
    speaker.requests.clear()
    chain.augment(chain.key("mix"))
    assert path.read_bytes() == before
    assert not speaker.requests
    assert line(forecast(chain.config)).amount.requests == Span(0, 0)


def test_labels_of_the_language_model_are_written(make_asking: MakeChain) -> None:
    mix = {"labels": "hard", "relabel": {"by": "llm", "examples": 2}}
    chain = make_asking(draw=(11,), seeds={"data": [11]}, augmenters={"mix": mix})
    chain.augment(chain.key("mix"))
    path = chain.augmented(chain.key("mix"))["synthetic"]
    rows = read_table(path, "synthetic")
    assert set(rows["label_source"]) == {"relabeled by llm"}
    # The speaker's labels: 0.7 and 0.2 of the probability.
    assert {tuple(round(share, 6) for share in shares) for shares in rows["soft_label"]} == {(0.222222, 0.777778)}
    assert json.dumps(read_provenance(path)["slices"]["augment"]["augmenter"]["relabel"])
