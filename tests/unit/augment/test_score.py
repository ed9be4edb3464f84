from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.augment.lexicon import item_lexicon, json_lexicon
from hypermix.augment.parse import Place, parse_line, parse_object
from hypermix.augment.score import (
    MISSING,
    NO_WORD,
    SHORT,
    UNCLEAR,
    ZERO,
    SoftLabel,
    Tally,
    find_fault,
    locate_label,
    share_of,
)
from hypermix.records import Task, Token
from tests.unit.augment.speaker import SENTIMENT, plain, token

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
WORLD = Task("text", "type", {"a": "World", "b": "Worldwide"})


def tally(*tokens: Token, task: Task = SENTIMENT, lead: bytes = b"") -> Tally:
    found = Tally(item_lexicon(task), lead)
    found.follow(tokens)
    return found


def soft(*top: tuple[str | bytes, float]) -> SoftLabel | str:
    return tally(token(" Positive", (" Positive", 0.0), *top)).conclude()


def shares(found: SoftLabel | str) -> tuple[tuple[float, ...], float]:
    assert isinstance(found, SoftLabel)
    return found.probabilities, found.mass


# One token.


def test_shares_of_labels_are_renormalized() -> None:
    probabilities, mass = shares(soft((" Positive", 0.6), (" Negative", 0.2), (" the", 0.1)))

    assert probabilities == pytest.approx((0.25, 0.75))
    assert mass == pytest.approx(0.8)


def test_case_and_space_add_up() -> None:
    probabilities, mass = shares(soft((" POSITIVE ", 0.1), ("positive", 0.1), ("\tNegative", 0.1), (" Negative)", 0.1)))

    assert probabilities == pytest.approx((0.5, 0.5))
    assert mass == pytest.approx(0.4)


def test_word_that_goes_on_counts_for_none() -> None:
    assert shares(soft((" Positively", 0.5), (" Positive", 0.2), (" Negative", 0.2)))[0] == pytest.approx((0.5, 0.5))


def test_equal_tokens_add_up() -> None:
    assert shares(soft((" Positive", 0.3), (" Negative", 0.2), (" Negative", 0.1)))[0] == pytest.approx((0.5, 0.5))


def test_written_token_counts_where_it_is_not_among_the_likely() -> None:
    found = tally(Token(b" Negative", math.log(0.2), ((b" Positive", math.log(0.6)),))).conclude()

    assert shares(found)[0] == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize(
    ("top", "reason"), [([(" the", 0.9)], NO_WORD), ([("", 0.5)], NO_WORD), ([(" Pos", 0.5)], UNCLEAR)]
)
def test_no_label_word_gives_no_probabilities(top: list[tuple[str | bytes, float]], reason: str) -> None:
    assert soft(*top) == reason


def test_mass_is_at_most_one() -> None:
    assert shares(soft((" Positive", 0.7), (" Negative", 0.4)))[1] == 1.0


@pytest.mark.parametrize(
    ("logprob", "share"), [(0.0, 1.0), (-math.inf, 0.0), (math.nan, 0.0), (1e9, 1.0), (-9999.0, 0.0), (math.inf, 1.0)]
)
def test_any_number_is_a_share(logprob: float, share: float) -> None:
    assert share_of(logprob) == share


# Several tokens.


def test_word_of_several_tokens_is_multiplied() -> None:
    found = tally(
        token(" Posi", (" Posi", 0.5), (" Negative", 0.25)),
        token("tive", ("tive", 0.5), ("on", 0.5)),
        token(")", (")", 1.0)),
    )

    assert shares(found.conclude()) == (pytest.approx((0.5, 0.5)), pytest.approx(0.5))
    assert not found.branches


def test_other_ways_of_a_word_add_up() -> None:
    found = tally(
        token(" Posi", (" Posi", 0.5), (" Positive", 0.3), (" Negative", 0.1)),
        token("tive", ("tive", 0.5), ("TIVE", 0.1), ("ted", 0.4)),
    ).conclude()

    assert shares(found)[1] == pytest.approx(0.5 * 0.6 + 0.3 + 0.1)


def test_beginning_that_was_not_written_stays_open() -> None:
    found = tally(token(" Positive", (" Positive", 0.5), (" Neg", 0.3), (" ", 0.1)))

    assert found.branches == {b" Neg": pytest.approx(0.3), b" ": pytest.approx(0.1)}
    assert found.unclear == pytest.approx(0.4)
    assert found.conclude() == UNCLEAR


@pytest.mark.parametrize(("share", "kept"), [(0.049, True), (0.051, False)])
def test_little_may_stay_open(share: float, kept: bool) -> None:
    found = tally(token(" Positive", (" Positive", 1.0 - share), (" Neg", share)))

    assert isinstance(found.conclude(), SoftLabel) is kept


def test_lost_beginnings_stay_unclear() -> None:
    found = tally(token(" Positive", (" Positive", 0.5)))
    found.lost = 0.1

    assert found.conclude() == UNCLEAR


def test_branch_is_followed_with_its_share() -> None:
    found = tally(token(" Positive", (" Positive", 0.5), (" Neg", 0.3)))
    found.follow([token("ative", ("ative", 0.5), ("lect", 0.5))], b" Neg", found.branches.pop(b" Neg"))

    assert shares(found.conclude()) == (pytest.approx((0.15 / 0.65, 0.5 / 0.65)), pytest.approx(0.65))


def test_closing_bracket_tells_a_word_from_a_longer_one() -> None:
    found = tally(
        token(" World", (" World", 0.8), (" Worldwide", 0.1)),
        token(")", (")", 0.7), ("wide", 0.2), (" cup", 0.1)),
        task=WORLD,
    )

    assert shares(found.conclude()) == (pytest.approx((0.56 / 0.82, 0.26 / 0.82)), pytest.approx(0.82))


def test_word_that_ends_the_answer_stays_open() -> None:
    assert tally(token(" World", (" World", 0.8)), task=WORLD).branches == {b" World": pytest.approx(0.8)}


def test_token_before_the_label_must_match() -> None:
    found = tally(
        token(": Positive", (": Positive", 0.5), (":Negative", 0.2), (":", 0.1), (" Negative", 0.1)), lead=b":"
    )

    assert found.found == {"neg": pytest.approx(0.2), "pos": pytest.approx(0.5)}
    assert found.branches == {b":": pytest.approx(0.1)}


def test_token_may_end_before_the_label() -> None:
    found = tally(
        token("ment: Positive", ("ment: Positive", 0.5), ("ment", 0.2), ("men", 0.1), ("x", 0.1)), lead=b"ment:"
    )

    assert found.found == {"pos": pytest.approx(0.5)}
    assert found.branches == {b"ment": pytest.approx(0.2), b"men": pytest.approx(0.1)}


def test_cut_characters_are_followed() -> None:
    task = Task("text", "type", {"a": "电影", "b": "电弱"})  # the second characters share their first byte
    content = " 电影".encode()
    other = " 电弱".encode()
    assert content[:5] == other[:5]
    found = tally(
        token(content[:5], (content[:5], 0.5)), token(content[5:], (content[5:], 0.6), (other[5:], 0.4)), task=task
    )

    assert shares(found.conclude()) == (pytest.approx((0.6, 0.4)), pytest.approx(0.5))


def test_schema_makes_a_beginning_a_word() -> None:
    found = Tally(json_lexicon(SENTIMENT, enforced=True))
    found.follow([token("Pos", ("Pos", 0.7), ("Negative", 0.2), ("N", 0.1))])

    assert shares(found.conclude()) == (pytest.approx((0.3, 0.7)), pytest.approx(1.0))


@STEADY
@given(
    st.lists(
        st.tuples(st.sampled_from([" Positive", " Neg", " x", "negative)", ""]), st.floats(0.001, 0.2)), max_size=5
    )
)
def test_probabilities_add_up_to_one(top: list[tuple[str, float]]) -> None:
    found = tally(token(" Positive", (" Positive", 0.2), *top)).conclude()

    if isinstance(found, SoftLabel):
        assert math.fsum(found.probabilities) == pytest.approx(1.0)
        assert 0.0 < found.mass <= 1.0
    else:
        assert any(piece == " Neg" for piece, _ in top)


@STEADY
@given(
    st.lists(
        st.tuples(st.binary(max_size=4), st.lists(st.tuples(st.binary(max_size=4), st.floats()), max_size=3)),
        max_size=4,
    ),
    st.binary(max_size=3),
)
def test_any_tokens_are_followed(tokens: list[tuple[bytes, list[tuple[bytes, float]]]], lead: bytes) -> None:
    found = tally(*(Token(text, -1.0, tuple(top)) for text, top in tokens), lead=lead)

    assert isinstance(found.conclude(), SoftLabel | str)


# Where the label is.


@pytest.mark.parametrize("size", range(1, 7))
def test_token_is_found_across_cut_characters(size: int) -> None:
    completion = " 电影 🎬 é (Sentiment: Positive)"
    place = parse_line(completion, SENTIMENT).place
    assert place is not None
    located = locate_label(plain(completion, size), completion, place)

    assert located == (place.opened // size, completion.encode()[place.opened // size * size : place.opened])


def test_label_is_found_in_json() -> None:
    content = '{"text": "a \\"label\\": \\"x\\"", "label": "Positive"}'
    place = parse_object(content, SENTIMENT).place
    assert place is not None
    tokens = [*plain(content[: place.opened - 2]), token(' "', (' "', 1.0)), token('Positive"}', ("Positive", 0.9))]

    assert locate_label(tokens, content, place) == (len(tokens) - 1, b"")


@pytest.mark.parametrize(
    "spoiled", ["\ufffd\ufffd (Sentiment: Positive)", "x (Sentiment: Positive)", " 🎬 (Sentiment: Positive)\n"]
)
def test_label_is_found_from_the_right_where_tokens_differ(spoiled: str) -> None:
    completion = " 🎬 (Sentiment: Positive)"
    place = parse_line(completion, SENTIMENT).place
    assert place is not None
    located = locate_label(plain(spoiled, 1), completion, place)

    assert isinstance(located, tuple)
    assert spoiled.encode()[located[0] :].startswith(b" Positive")


def test_what_is_wrong_with_tokens_is_told() -> None:
    completion = " fine (Sentiment: Positive)"
    place = parse_line(completion, SENTIMENT).place
    assert place is not None
    whole = plain(completion)

    assert locate_label([], completion, place) == MISSING
    assert locate_label(whole[:-2], completion, place) == SHORT
    assert locate_label(plain("another text"), completion, place) == SHORT
    assert locate_label([Token(one.text, -1.0, ()) for one in whole], completion, place) == MISSING
    assert locate_label([Token(one.text, math.nan, ()) for one in whole], completion, place) == MISSING
    zero = [Token(one.text, 0.0, ((one.text, 0.0),)) for one in whole]
    assert locate_label(zero, completion, place) == ZERO
    assert locate_label([token("", ("x", 0.5))], "", Place(0, 0, 0)) == SHORT


def test_certainty_is_no_fault() -> None:
    assert find_fault([Token(b"x", 0.0, ((b"x", 0.0), (b"y", -9999.0)))]) is None
    assert find_fault([Token(b"x", 0.0, ((b"x", 0.0),)), Token(b"y", -0.5, ())]) is None
