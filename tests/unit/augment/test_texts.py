"""What all methods have in common that ask by a template."""

from __future__ import annotations

from typing import Any

import pytest

from hypermix.augment.base import Slot
from hypermix.augment.score import MISSING
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Choice, Completion, Token
from tests.unit.augment.playing import harvest, plan
from tests.unit.augment.talking import CHAT_FORM, EXAMPLES, FORMS, KINDS, answered, build, said, talk

SETTINGS: dict[str, dict[str, Any]] = {
    "attributed": {},
    "conditional": {},
    "cotam": {"temperature": 0.7},
    "paraphrase": {"per_call": 6},
    "promptmix": {},
    "template": {"template": "{{ count }} {{ label.word }}", "parse": "numbered", "per_call": 3},
}
assert SETTINGS.keys() == KINDS.keys()
EACH = pytest.mark.parametrize("method", SETTINGS)
FORM = pytest.mark.parametrize("form", FORMS)


# The contract.


@EACH
@FORM
def test_rehearsed_answers_make_rows_within_the_bound(method: str, form: str) -> None:
    for changes in ({}, {"candidates": 3} if method == "conditional" else {}):
        augmenter = build(method, FORMS[form], **SETTINGS[method], **changes)
        answers: list[Completion] = []
        while requests := plan(augmenter, Slot(1, 0), answers):
            text = augmenter.rehearse(EXAMPLES[4], len(answers))
            choice = Choice(text, "stop", (Token(text.encode(), -1.0, ()),))
            answers += [Completion("k", (choice,) * request.body.get("n", 1)) for request in requests]
        row = harvest(augmenter, Slot(1, 0), answers)
        assert (row.text, row.reason) == ("film number 4", None)
        assert 1 <= len(answers) <= augmenter.most_requests


@EACH
@FORM
def test_answers_that_say_nothing_stay_within_the_bound(method: str, form: str) -> None:
    augmenter = build(method, FORMS[form], **SETTINGS[method])
    row, asked = talk(augmenter, Slot(0, 0), lambda request: "")
    assert not row.kept
    assert row.reason
    assert row.request_key
    assert len(asked) <= augmenter.most_requests


@EACH
@FORM
def test_a_larger_draw_begins_with_the_requests_of_a_smaller_one(method: str, form: str) -> None:
    small, large = (build(method, FORMS[form], **SETTINGS[method], multiplier=times) for times in (1.0, 3.0))
    assert (small.n_rows, large.n_rows) == (12, 36)
    for row in range(small.n_rows):
        assert plan(small, Slot(row, 1)) == plan(large, Slot(row, 1))


@EACH
def test_tries_and_seeds_ask_for_other_answers(method: str) -> None:
    def last(seed: int, slot: Slot) -> tuple[str, Any]:
        augmenter = build(method, seed=seed, **SETTINGS[method])
        answers: list[Completion] = []
        while requests := plan(augmenter, slot, answers):
            answers += [answered(augmenter.rehearse(EXAMPLES[0], len(answers))) for _ in requests]
            asked = requests
        return asked[-1].sample, asked[-1].body["seed"]

    found = {last(seed, Slot(0, attempt)) for seed in (7, 8) for attempt in range(3)}
    assert len(found) == 6


@EACH
@FORM
def test_prompts_have_no_loose_ends(method: str, form: str) -> None:
    augmenter = build(method, FORMS[form], **SETTINGS[method])
    asked = []
    talk(augmenter, Slot(0, 0), lambda request: asked.append(request) or "1. one\n2. two")
    for request in asked:
        text = said(request)
        assert text == text.strip(" \n")  # a space at the end spoils the next token
        assert "\n\n\n" not in text
        assert "{{" not in text
        assert request.path.endswith("chat/completions") is (form == "chat")


def test_what_an_endpoint_does_not_take_is_left_out() -> None:
    takes = Abilities(seed=False, sampling=False, penalties=False, stop=False, max_tokens="max_completion_tokens")
    (request,) = plan(build("paraphrase", takes, per_call=6), Slot(0, 0))
    assert request.body.keys() == {"prompt", "max_completion_tokens"}
    assert request.body["max_completion_tokens"] == 600  # six texts of a hundred


# Several texts of one call.


@FORM
def test_rows_of_a_call_ask_the_same_and_take_their_parts(form: str) -> None:
    augmenter = build("paraphrase", FORMS[form], per_call=3)
    first, second = ([plan(augmenter, Slot(row, 0)) for row in range(start, start + 3)] for start in (0, 3))
    assert all(requests == first[0] for requests in first)
    assert first[0] != second[0]
    assert first[0][0].shared
    rows = [talk(augmenter, Slot(row, 0), lambda request: "1. one\n2. two\n3. three")[0] for row in range(3)]
    assert [row.text for row in rows] == ["one", "two", "three"]
    assert len({row.source_ids for row in rows}) == 1


def test_a_call_for_one_text_is_not_shared() -> None:
    (request,) = plan(build("paraphrase", per_call=1), Slot(0, 0))
    assert not request.shared


def test_a_row_takes_another_part_at_each_try() -> None:
    """A model that always writes one text less than asked for leaves no row without a chance."""
    augmenter = build("paraphrase", per_call=3)
    found = {
        (row, attempt): talk(augmenter, Slot(row, attempt), lambda request: " one\n2. two")[0].text
        for row in range(3)
        for attempt in range(3)
    }
    assert [found[2, attempt] for attempt in range(3)] == [None, "two", "one"]
    for attempt in range(3):  # and never the part of another row
        texts = [found[row, attempt] for row in range(3)]
        assert sorted(text for text in texts if text) == ["one", "two"]


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (answered(" one\n2. two\n3. thr", "length"), [None, None, "cut off"]),
        (answered(" one\n2. two\n3. three\n", "length"), [None, None, None]),
        (answered(" one\n2. two\n3. three"), [None, None, None]),
        (answered(" one\n2. two", "content_filter"), [None, "filtered", "filtered"]),
        (answered("I cannot", "refusal"), ["refused"] * 3),
        (answered(""), ["no item"] * 3),
    ],
)
def test_unfinished_texts_are_not_used(answer: Completion, reasons: list[str | None]) -> None:
    if reasons == ["no item"] * 3:
        augmenter = build("paraphrase", CHAT_FORM, per_call=3)
    else:
        augmenter = build("paraphrase", per_call=3)
    rows = [harvest(augmenter, Slot(row, 0), [answer]) for row in range(3)]
    assert [row.reason for row in rows] == reasons


def test_a_line_that_was_cut_is_not_used() -> None:
    augmenter = build("conditional")
    assert harvest(augmenter, Slot(0, 0), [answered("a fine fi", "length")]).reason == "cut off"
    assert harvest(augmenter, Slot(0, 0), [answered('a fine film" and', "length")]).text == "a fine film"


def test_a_text_that_a_content_filter_cut_is_not_used() -> None:
    augmenter = build("conditional", CHAT_FORM)
    assert harvest(augmenter, Slot(0, 0), [answered("a fine fi", "content_filter")]).reason == "filtered"
    numbered = build("paraphrase", per_call=2)
    assert harvest(numbered, Slot(0, 0), [answered(" one\n2. tw", "content_filter")]).text == "one"
    assert harvest(numbered, Slot(1, 0), [answered(" one\n2. tw", "content_filter")]).reason == "filtered"


def test_an_endpoint_that_takes_a_schema_gets_that_of_the_answer() -> None:
    settings = {"template": "{{ count }}", "parse": "json", "label": "written"}
    (request,) = plan(build("template", Abilities(chat=True, structured=True), **settings), Slot(0, 0))
    schema = request.body["response_format"]["json_schema"]["schema"]
    assert [*schema["properties"]] == ["text", "label"]
    (request,) = plan(build("template", CHAT_FORM, **settings), Slot(0, 0))
    assert "response_format" not in request.body


@pytest.mark.parametrize("method", ["conditional", "template"])
def test_too_few_rows_are_told_before_anything_is_asked(method: str) -> None:
    rows = [row for row in EXAMPLES if row.label != "pos"] + [EXAMPLES[2]]
    more = {"template": "{{ label.word }}", "examples_of": "asked"} if method == "template" else {}
    with pytest.raises(AugmentError, match="2 examples needs as many rows of the label 'pos', the subsample has 1"):
        build(method, rows=rows, examples=2, **more)


# The most probable of several.


def test_the_most_probable_candidate_is_kept() -> None:
    augmenter = build("conditional", candidates=3)
    (request,) = plan(augmenter, Slot(0, 0))
    assert (request.body["n"], request.body["logprobs"]) == (3, 1)
    tokens = [
        (Token(b"x", -0.5, ()), Token(b"x", -2.5, ())),
        (Token(b"x", -1.0, ()), Token(b"x", float("nan"), ())),
        (Token(b"x", -0.1, ()),),
    ]
    choices = [Choice(text, "stop", one) for text, one in zip(("first", "second", ""), tokens, strict=True)]
    row = harvest(augmenter, Slot(0, 0), [Completion("k", tuple(choices))])
    assert row.text == "second"  # means -1.5 and -1; the most probable of all is no text


def test_candidates_are_asked_for_one_by_one_where_n_is_not_taken() -> None:
    augmenter = build("conditional", Abilities(chat=True, n=False), candidates=3)
    requests = plan(augmenter, Slot(0, 0))
    assert len({request.sample for request in requests}) == len({request.body["seed"] for request in requests}) == 3
    assert all("n" not in request.body and request.body["logprobs"] is True for request in requests)
    assert augmenter.most_requests == 3
    answers = [answered(text, logprob=score, key=text) for text, score in (("a", -3.0), ("b", -1.0), ("c", -2.0))]
    row = harvest(augmenter, Slot(0, 0), answers)
    assert (row.text, row.request_key) == ("b", "b")


def test_candidates_need_probabilities() -> None:
    with pytest.raises(AugmentError, match="tells no log-probabilities; set candidates: 1"):
        build("conditional", Abilities(logprobs=0), candidates=2)
    build("conditional", Abilities(logprobs=0))
    augmenter = build("conditional", candidates=2)
    answer = Completion("k", (Choice("a", "stop", ()), Choice("b", "stop", ())))
    assert harvest(augmenter, Slot(0, 0), [answer]).reason == MISSING
