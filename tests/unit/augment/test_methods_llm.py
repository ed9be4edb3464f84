"""What each method of a language model means."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from hypermix.augment.attributed import NO_VALUES
from hypermix.augment.backtranslate_llm import TRANSLATIONS, Translated, translate_by_llm
from hypermix.augment.base import Augmenter, Material, Slot
from hypermix.augment.desk import Desk
from hypermix.augment.dialogue import ask_next, conclude
from hypermix.augment.promptmix import mixing_share
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Completion, Example, Request, SyntheticRow, Task
from tests.unit.augment.playing import plan
from tests.unit.augment.talking import CHAT_FORM, EXAMPLES, FORMS, TASK, answered, build, said, talk

FORM = pytest.mark.parametrize("form", FORMS)
BY_ID = {example.id: example for example in EXAMPLES}
ONE = Task("text", "label", {"only": "only"})


def rows_of(augmenter: Augmenter, text: str) -> list[tuple[SyntheticRow, str]]:
    """The rows of a draw whose answers are all alike, with the last prompt of each."""
    found = []
    for row in range(augmenter.n_rows):
        made, asked = talk(augmenter, Slot(row, 0), lambda request: text)
        found.append((made, said(asked[-1])))
    return found


# paraphrase


@FORM
def test_each_row_is_paraphrased_as_often_as_asked(form: str) -> None:
    augmenter = build("paraphrase", FORMS[form], per_call=4, multiplier=4.0)
    rows = rows_of(augmenter, "1. a\n2. b\n3. c\n4. d")
    assert Counter(row.source_ids for row, _ in rows) == {(example.id,): 4 for example in EXAMPLES}
    for row, prompt in rows:
        source = BY_ID[row.source_ids[0]]
        assert re.search(rf"\b{source.text}\b", prompt)
        assert sum(bool(re.search(rf"\b{other.text}\b", prompt)) for other in EXAMPLES) == 1  # it alone
        assert (row.label, row.label_source, row.kept) == (source.label, "example", True)


# conditional


@FORM
@pytest.mark.parametrize("count", [0, 3])
def test_the_label_is_asked_for_with_examples_of_it_alone(form: str, count: int) -> None:
    rows = rows_of(build("conditional", FORMS[form], examples=count), "a new film")
    assert Counter(row.label for row, _ in rows) == {"neg": 4, "neu": 4, "pos": 4}
    for row, prompt in rows:
        shown = [example for example in EXAMPLES if re.search(rf"\b{example.text}\b", prompt)]
        assert {example.id for example in shown} == set(row.source_ids)
        assert len(shown) == count
        assert {example.label for example in shown} <= {row.label}
        assert TASK.words[str(row.label)] in prompt
        assert not any(word in prompt for label, word in TASK.words.items() if label != row.label)
        assert (row.text, row.label_source) == ("a new film", "asked")


def test_a_base_model_goes_on_with_the_words_of_zerogen() -> None:
    prompts = {said(plan(build("conditional", examples=0), Slot(row, 0))[0]) for row in range(3)}
    assert prompts == {f'The movie review in {word} sentiment is: "' for word in ("negative", "neutral", "positive")}


# attributed

VALUES = "1. acting\n2. music\n3. Acting\n4. " + "long" * 60


def attribute_of(request: Request) -> str | None:
    found = re.search(r'values of (?:the attribute )?"(\w+)"', said(request))
    return found[1] if found else None


@FORM
def test_values_are_asked_once_for_each_label_and_drawn(form: str) -> None:
    attributes = {"topic": [], "tone": ["dry", "warm"]}
    asked: dict[tuple[str, str], int] = Counter()
    prompts = []
    for seed in (1, 2):
        augmenter = build("attributed", FORMS[form], seed=seed, attributes=attributes, multiplier=9.0)
        for row in range(108):
            made, requests = talk(
                augmenter, Slot(row, row % 2), lambda request: VALUES if attribute_of(request) else "a new film"
            )
            first, last = requests
            assert (first.shared, last.shared) == (True, False)
            assert (made.text, made.label_source, made.source_ids) == ("a new film", "asked", ())
            asked[first.sample, str(first.body)] += 1
            prompts.append(said(last))
            assert TASK.words[str(made.label)] in said(first).casefold()
            assert TASK.words[str(made.label)] in said(last).casefold()
    # One question for each label, whatever seed, row and try: it is paid for once.
    assert sorted(asked.values()) == [72, 72, 72]
    drawn = Counter(
        (topic, tone)
        for prompt in prompts
        for topic in ("acting", "music")
        for tone in ("dry", "warm")
        if f"opic: {topic}" in prompt and f"one: {tone}" in prompt
    )
    assert drawn.total() == 216
    assert len(drawn) == 4
    assert min(drawn.values()) >= 35  # what stands twice counts once, and what is no value is left out


def test_values_that_cannot_be_read_are_asked_for_again() -> None:
    augmenter = build("attributed", CHAT_FORM, attributes={"topic": []})
    replies = iter(["none", "1. only one", VALUES, "a new film"])
    row, asked = talk(augmenter, Slot(0, 0), lambda request: next(replies))
    assert (row.text, len(asked), augmenter.most_requests) == ("a new film", 4, 4)
    assert len({request.sample for request in asked}) == 4
    row, asked = talk(augmenter, Slot(0, 0), lambda request: "none")
    assert (row.reason, row.text, len(asked)) == (NO_VALUES, None, 3)


def test_given_values_need_no_question() -> None:
    augmenter = build("attributed", attributes={"topic": ["music"]})
    row, asked = talk(augmenter, Slot(0, 0), lambda request: 'a new film"')
    assert (len(asked), row.kept, augmenter.most_requests) == (1, True, 1)


# promptmix


@FORM
def test_shares_of_two_labels_add_up(form: str) -> None:
    augmenter = build("promptmix", FORMS[form], multiplier=30.0, per_call=1)
    shares, pairs = Counter[int](), Counter[tuple[str, str]]()
    for row, prompt in rows_of(augmenter, "1. a mixed film"):
        ((share, word, rest, other),) = re.findall(r"(\d+)% to the class (\w+) and (\d+)% to the class (\w+)", prompt)
        assert int(share) + int(rest) == 100
        assert 50 <= int(share) <= 100
        assert int(share) % 5 == 0
        assert word.lower() == TASK.words[str(row.label)]  # the label of the larger share
        assert word != other
        shares[int(share)] += 1
        pairs[word, other] += 1
        assert all(f"Class {one.capitalize()}" in prompt for one in TASK.words.values())
    assert len(pairs) == 6
    mean = sum(share * count for share, count in shares.items()) / shares.total()
    assert abs(mean - 85.7) < 1.5  # of 0.5 + 0.5 Beta(5, 2)


@pytest.mark.parametrize(("beta", "share"), [(0.0, 50), (0.04, 50), (0.06, 55), (0.5, 75), (0.94, 95), (1.0, 95)])
def test_shares_are_rounded_to_five(beta: float, share: int) -> None:
    assert mixing_share(beta) == share


def test_all_labels_are_shown_with_what_is_known_of_them() -> None:
    few = [*EXAMPLES[:4], Example("more", "film number 99", "neg")]  # one neutral, one positive
    augmenter = build("promptmix", rows=few, examples=2, descriptions={"neu": "Neither of both."})
    row, asked = talk(augmenter, Slot(0, 0), lambda request: " a\n2. b\n3. c")
    prompt = said(asked[0])
    assert "Class Neutral: Neither of both.\n" in prompt
    assert "Class Negative\n" in prompt
    assert prompt.count("Example: ") == 4 == len(row.source_ids)
    assert row.label_source == "asked"
    with pytest.raises(AugmentError, match=r"descriptions names the labels \['neutral'\], which the dataset lacks"):
        plan(build("promptmix", descriptions={"neutral": "Neither."}), Slot(0, 0))


# cotam


@FORM
def test_each_row_gets_each_other_label_once(form: str) -> None:
    rows = rows_of(build("cotam", FORMS[form], multiplier=2.0), "1. x\n2. y\n3. A film of the other kind.")
    flips = Counter((row.source_ids[0], row.label) for row, _ in rows)
    assert len(flips) == 24
    assert set(flips.values()) == {1}
    for row, prompt in rows:
        source = BY_ID[row.source_ids[0]]
        assert row.label != source.label
        assert source.text in prompt
        assert TASK.words[source.label] in prompt.casefold()
        assert TASK.words[str(row.label)] in prompt.casefold()
        assert (row.text, row.label_source) == ("A film of the other kind.", "asked")


@pytest.mark.parametrize("method", ["cotam", "promptmix"])
def test_one_label_is_too_few(method: str) -> None:
    with pytest.raises(AugmentError, match="the dataset has only one; leave it out"):
        build(method, task=ONE, rows=[Example("x", "text", "only")])


# Translation there and back.


def desk(abilities: Abilities) -> Desk:
    settings = {"max_tokens": 50, "temperature": 0.0, "top_p": 1.0, "frequency_penalty": 0.0}
    return Desk(Material(EXAMPLES, TASK, 3, abilities), settings)


def translate(abilities: Abilities, *replies: Completion) -> tuple[Translated | None, list[str]]:
    def fresh() -> Any:
        return translate_by_llm(desk(abilities), "Hello\nyou", "French", "English", Slot(1, 0))

    prompts, answers = [], []
    for reply in replies:
        prompts += [said(request) for request in ask_next(fresh(), answers)]
        answers.append(reply)
    left = ask_next(fresh(), answers)
    return (None if left else conclude(fresh(), answers)), prompts


@FORM
def test_text_goes_there_and_back(form: str) -> None:
    found, prompts = translate(FORMS[form], answered("Bonjour toi", key="1"), answered('"Hi you"', key="2"))
    assert found == Translated("Hi you", "2", None)
    there, back = prompts
    assert "Hello you" in there
    assert "Bonjour toi" in back
    assert "Hello" not in back  # what comes back is not copied
    assert there.index("English") < there.index("French")
    assert back.index("French") < back.index("English")
    assert len(prompts) == TRANSLATIONS


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(answered("", key="1"), "no item"), (answered("Bonj", "length", key="1"), "cut off")],
)
def test_a_translation_that_fails_ends_there(reply: Completion, reason: str) -> None:
    found, prompts = translate(CHAT_FORM, reply)
    assert found == Translated(None, "1", reason)
    assert len(prompts) == 1


def test_questions_that_would_be_answered_alike_are_not_asked() -> None:
    with pytest.raises(AugmentError, match="multiplier may be up to 2, it is 3; lower it or raise the temperature"):
        build("cotam", multiplier=3)
    assert build("cotam", multiplier=3, temperature=0.5).n_rows == 3 * len(EXAMPLES)
    assert build("cotam", multiplier=2).n_rows == 2 * len(EXAMPLES)


def test_by_default_every_row_is_paraphrased() -> None:
    for multiplier in (1, 2.5, 9):
        augmenter = build("paraphrase", multiplier=multiplier)
        sources = {
            talk(augmenter, Slot(row, 0), lambda request: " a\n2. b\n3. c\n4. d\n5. e\n6. f")[0].source_ids
            for row in range(augmenter.n_rows)
        }
        assert len(sources) == len(EXAMPLES)
