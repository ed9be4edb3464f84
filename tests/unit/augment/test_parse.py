from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.parse import Parsed, SoftLabel, parse_row, score_labels
from hypermix.augment.prompt import render_item
from hypermix.records import Example, Task, Token

STEADY = settings(deadline=None, derandomize=True, max_examples=200)
SENTIMENT = Task("movie review", "sentiment", {"neg": "negative", "pos": "positive"})
LINES = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda text: len(text.splitlines()) == 1 and text.strip()
)
WORDS = st.from_regex(r"[a-z0-9/äß电][a-z0-9/ .äß电-]{0,6}[a-z0-9äß电]", fullmatch=True)


def split_tokens(text: str, top: Sequence[tuple[str, float]], size: int) -> list[Token]:
    """Cut a completion into tokens of so many bytes, each with these likely tokens and their probabilities."""
    content = text.encode()
    likely = tuple((piece.encode(), math.log(share)) for piece, share in top)
    return [Token(content[start : start + size], -1.0, likely) for start in range(0, len(content), size)]


def score(top: Sequence[tuple[str, float]], task: Task = SENTIMENT) -> SoftLabel | None:
    return score_labels(split_tokens("Positive", top, 8), 0, task)


def test_text_and_label_are_read() -> None:
    assert parse_row(" a fine film (Sentiment: Positive)", SENTIMENT) == Parsed("a fine film", "pos", 25, None)


@pytest.mark.parametrize(
    "bracket",
    ["(sentiment: positive)", "(SENTIMENT: POSITIVE)", "( Sentiment :Positive )", "(Sentiment:  Positive)"],
)
def test_case_and_spaces_of_label_are_ignored(bracket: str) -> None:
    parsed = parse_row(f" fine {bracket}", SENTIMENT)

    assert (parsed.text, parsed.label, parsed.reason) == ("fine", "pos", None)


def test_last_bracket_closes_the_text() -> None:
    parsed = parse_row(" it said (Sentiment: Positive) and lied (Sentiment: Negative)", SENTIMENT)

    assert (parsed.text, parsed.label) == ("it said (Sentiment: Positive) and lied", "neg")


def test_words_after_label_are_dropped() -> None:
    parsed = parse_row(" fine (Sentiment: Positive) and so on (1999)", SENTIMENT)

    assert (parsed.text, parsed.label) == ("fine", "pos")


@pytest.mark.parametrize(
    "text", ["the (old) film", "((", "a ) b (", "(Sentiment", "(Sentiment:", "(Sentiment: (", ":-)"]
)
def test_brackets_stay_in_the_text(text: str) -> None:
    parsed = parse_row(f" {text} (Sentiment: Positive)", SENTIMENT)

    assert (parsed.text, parsed.label) == (text, "pos")


@pytest.mark.parametrize(("text", "word_at"), [("fine", 18), ("电影", 20), ("🎬", 18), ("é", 16), ("𝒳é电🎬", 27)])
def test_word_is_found_by_its_bytes(text: str, word_at: int) -> None:
    completion = f" {text} (Sentiment: Positive)"

    assert parse_row(completion, SENTIMENT).word_at == word_at
    assert completion.encode()[word_at:] == b"Positive)"


def test_half_character_has_bytes_too() -> None:
    assert parse_row("\ud83d (Sentiment: Positive)", SENTIMENT).word_at == 16


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        (" a fine film", "a fine film"),
        (" a film (Sentiment: Posit", "a film (Sentiment: Posit"),
        (" a film (Label: Positive)", "a film (Label: Positive)"),
        (" a film (Sentiment Positive)", "a film (Sentiment Positive)"),
        ("", None),
        ("  ", None),
    ],
)
def test_completion_without_label_says_so(completion: str, text: str | None) -> None:
    assert parse_row(completion, SENTIMENT) == Parsed(text, None, None, "no label")


@pytest.mark.parametrize("word", ["Mixed", "pos", "positive!", "very positive", "", "neg"])
def test_word_of_no_label_is_unknown(word: str) -> None:
    assert parse_row(f" fine (Sentiment: {word})", SENTIMENT) == Parsed("fine", None, None, "unknown label")


def test_earlier_label_does_not_help() -> None:
    parsed = parse_row(" fine (Sentiment: Positive) (Sentiment: Mixed)", SENTIMENT)

    assert (parsed.label, parsed.reason) == (None, "unknown label")


def test_unknown_label_without_text_has_none() -> None:
    assert parse_row("(Sentiment: Mixed)", SENTIMENT) == Parsed(None, None, None, "unknown label")


@pytest.mark.parametrize("before", ["", " ", "\t"])
def test_label_without_text_is_refused(before: str) -> None:
    assert parse_row(f"{before}(Sentiment: Positive)", SENTIMENT) == Parsed(None, "pos", None, "empty text")


def test_label_type_is_no_pattern() -> None:
    task = Task("text", "a.b*", {"x": "yes"})

    assert parse_row(" fine (A.b*: Yes)", task).label == "x"
    assert parse_row(" fine (Axbbb: Yes)", task).reason == "no label"


@STEADY
@given(LINES, st.sampled_from(["neg", "pos"]))
@also("a (Sentiment: Positive)", "neg")
@also("(sentiment: ", "pos")
def test_rendered_item_is_read_back(text: str, label: str) -> None:
    item = render_item(Example("a-0", text, label), SENTIMENT)
    completion = item.removeprefix("Movie review:")
    parsed = parse_row(completion, SENTIMENT)

    assert (parsed.text, parsed.label, parsed.reason) == (text.strip(), label, None)
    assert parsed.word_at == len(completion.encode()) - len(b"positive)")


@STEADY
@given(
    st.lists(WORDS, min_size=2, max_size=4, unique_by=str.casefold),
    st.sampled_from(["type", "question type", "a.b", "Ärger", "类型"]),
)
def test_any_label_words_are_read_back(words: list[str], label_type: str) -> None:
    task = Task("text", label_type, {str(number): word for number, word in enumerate(words)})

    for label in task.labels:
        completion = render_item(Example("a-0", "fine", label), task).removeprefix("Text:")
        assert parse_row(completion, task).label == label


@STEADY
@given(st.text())
def test_any_completion_has_row_or_reason(completion: str) -> None:
    parsed = parse_row(completion, SENTIMENT)

    assert (parsed.reason is None) == (parsed.word_at is not None)
    assert parsed.reason is not None or (parsed.text and parsed.label)


def test_shares_of_labels_are_renormalized() -> None:
    soft = score([("positive", 0.6), ("negative", 0.2), ("the", 0.1)])

    assert soft is not None
    assert soft.probabilities == pytest.approx((0.25, 0.75))
    assert soft.mass == pytest.approx(0.8)


def test_case_and_space_add_up() -> None:
    soft = score([(" Positive", 0.3), ("positive", 0.1), ("POSITIVE ", 0.1), ("\tNegative", 0.1)])

    assert soft is not None
    assert soft.probabilities == pytest.approx((1 / 6, 5 / 6))


def test_begun_word_counts_for_its_label() -> None:
    soft = score([(" pos", 0.2), (" Neg", 0.6), ("p", 0.2)])

    assert soft is not None
    assert soft.probabilities == pytest.approx((0.6, 0.4))


def test_ambiguous_beginning_counts_for_none() -> None:
    task = Task("text", "label", {"a": "normal", "b": "northern", "c": "other"})
    soft = score([("no", 0.5), ("nort", 0.2), ("n", 0.1), ("o", 0.2)], task)

    assert soft is not None
    assert soft.probabilities == pytest.approx((0.0, 0.5, 0.5))
    assert soft.mass == pytest.approx(0.4)


def test_whole_word_wins_over_beginning() -> None:
    task = Task("text", "label", {"a": "sport", "b": "sports car"})
    soft = score([("sport", 0.5), ("sports", 0.25), ("spo", 0.25)], task)

    assert soft is not None
    assert soft.probabilities == pytest.approx((2 / 3, 1 / 3))


@pytest.mark.parametrize("top", [[], [("the", 0.9)], [("", 0.5), (" ", 0.4)], [("positively", 0.5)]], ids=str)
def test_no_label_word_gives_no_probabilities(top: list[tuple[str, float]]) -> None:
    assert score(top) is None


def test_missing_tokens_give_no_probabilities() -> None:
    assert score_labels([], 0, SENTIMENT) is None


@pytest.mark.parametrize(("position", "found"), [(8, False), (7, True)])
def test_position_past_the_end_has_no_token(position: int, found: bool) -> None:
    assert (score_labels(split_tokens("Positive", [("pos", 0.5)], 8), position, SENTIMENT) is not None) is found


def test_mass_is_at_most_one() -> None:
    soft = score([("positive", 0.7), ("negative", 0.3 + 1e-9)])

    assert soft is not None
    assert soft.mass == 1.0


def test_impossible_token_has_no_weight() -> None:
    token = Token(b"Positive", -1.0, ((b"positive", -math.inf),))

    assert score_labels([token], 0, SENTIMENT) is None


@pytest.mark.parametrize("size", range(1, 7))
def test_token_is_found_across_cut_characters(size: int) -> None:
    completion = " 电影 🎬 é (Sentiment: Positive)"
    parsed = parse_row(completion, SENTIMENT)
    assert parsed.word_at is not None
    tokens = split_tokens(completion, [("the", 0.9)], size)
    wanted = parsed.word_at // size
    tokens[wanted] = Token(tokens[wanted].text, -1.0, ((b" Pos", math.log(0.5)),))

    assert score_labels(tokens, parsed.word_at, SENTIMENT) == SoftLabel((0.0, 1.0), 0.5)


def test_space_and_word_are_one_token() -> None:
    likely = ((b" Negative", math.log(0.5)),)
    tokens = [Token(b" fine (Sentiment:", -1.0, ((b"positive", 0.0),)), Token(b" Positive", -1.0, likely)]

    assert score_labels(tokens, 18, SENTIMENT) == SoftLabel((1.0, 0.0), 0.5)


def test_broken_bytes_are_no_label() -> None:
    token = Token(b"Positive", -1.0, ((b"\xf0\x9f", -0.1), (b"pos", math.log(0.25))))

    assert score_labels([token], 0, SENTIMENT) == SoftLabel((0.0, 1.0), 0.25)


@STEADY
@given(st.lists(st.tuples(st.sampled_from(["pos", " Neg", "x", "p", ""]), st.floats(0.001, 0.2)), max_size=5))
def test_probabilities_add_up_to_one(top: list[tuple[str, float]]) -> None:
    soft = score(top)
    known = math.fsum(share for piece, share in top if piece in {"pos", " Neg", "p"})

    assert (soft is None) == (known == 0)
    if soft is not None:
        assert math.fsum(soft.probabilities) == pytest.approx(1.0)
        assert soft.mass == pytest.approx(min(known, 1.0))
