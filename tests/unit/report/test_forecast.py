from __future__ import annotations

from typing import Any

import pytest

from hypermix.report.forecast import SUBSAMPLE, Account, Amount, Forecast, Line, Model, Span, forecast_text

AMOUNT = Amount(Span(96, 288), Span(10_400, 62_000), Span(1_900, 28_800))
PRICED = Model(here=False, price=(0.1, 0.5), as_of="2026-11-22", source="https://prices.example/")
NONE_SPENT = {"usd": 0.0, "requests": 0.0, "tokens": 0.0}


def make_line(**changes: Any) -> Line:
    fields = {"augmenter": "mix", "llm": "luna", "rows": 96, "stored": 12, "amount": AMOUNT, "usd": Span(0.002, 0.0206)}
    return Line(**{**fields, **changes})


def make(*lines: Line, width: int = 80, **changes: Any) -> str:
    fields: dict[str, Any] = {"lines": lines or (make_line(),), "models": {"luna": PRICED}}
    return forecast_text(Forecast(**{**fields, **changes}), width)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_line_tells_all_numbers() -> None:
    row = next(line for line in make().splitlines() if line.startswith("mix"))
    assert row.split() == ["mix", "luna", "96", "12", "96-288", "10k-62k", "1900-29k", "0.0020-0.02"]


def test_totals_add_up() -> None:
    text = flat(make(make_line(), make_line(augmenter="other")))
    assert "24 answers are stored and free. To ask: 192-576 requests, 21k-124k prompt tokens, " in text
    assert "3800-58k answer tokens, 0.0040-0.04 US dollars." in text


def test_nothing_left_is_told() -> None:
    text = flat(make(make_line(amount=Amount(), usd=Span())))
    assert "12 answers are stored and free. Nothing is left to ask." in text
    assert "Low:" not in text
    assert "To ask" not in text.split("free.")[1]


def test_one_stored_answer_is_one() -> None:
    assert "1 answer is stored and free." in flat(make(make_line(stored=1)))


def test_price_has_its_day_and_source() -> None:
    assert (
        "luna: 0.10 US dollars a million prompt tokens, 0.50 a million answer tokens (read on 2026-11-22, "
        "https://prices.example/)."
    ) in flat(make())


def test_unknown_price_invents_no_dollars() -> None:
    text = flat(make(make_line(usd=None), models={"luna": Model(here=False)}))
    assert "luna: the config gives no price, so that tokens are told and no dollars." in text
    assert "1900-29k answer tokens, price: unknown." in text
    assert "0.00" not in text


def test_partly_unknown_price_is_no_total() -> None:
    lines = make_line(), make_line(augmenter="lab", llm="lab", usd=None)
    text = flat(make(*lines, models={"luna": PRICED, "lab": Model(here=False)}))
    assert "price: 0.0020-0.02 US dollars and that of lab, which is unknown." in text


def test_model_that_runs_here_is_free() -> None:
    assert "luna runs here and costs nothing." in flat(make(models={"luna": Model(here=True, price=None)}))


def test_assumptions_are_told() -> None:
    text = flat(make(models={"luna": Model(here=True, assumed=True, guessed=True)}))
    assert "luna was not asked yet what it takes; it is assumed to take everything" in text
    assert "luna: prompt tokens are taken to have 2 to 6 bytes" in text
    assert "bytes" not in make()


def test_missing_draws_come_with_their_command() -> None:
    text = make(missing=2, draws=5)
    assert "2 of 5 draws of rows are not there yet and not counted; make them with: " in flat(text)
    assert SUBSAMPLE.format(target="") in text
    assert "until subsample" not in make(draws=5)


def test_command_names_the_config_files_and_notes_are_told() -> None:
    forecast = Forecast([], {"luna": PRICED}, missing=1, draws=2, files=["a b.yaml", "c.yaml"], notes=["rt: is odd."])
    text = forecast_text(forecast, 200)

    assert "--until subsample --configfile 'a b.yaml' c.yaml\n" in text
    assert "\nrt: is odd.\n" in text
    assert " \\\n--configfile 'a b.yaml' \\\nc.yaml\n" in forecast_text(forecast, 60)


def test_only_missing_draws_make_no_table() -> None:
    text = forecast_text(Forecast([], {"luna": PRICED}, missing=2, draws=2), 80)
    assert text.startswith("2 of 2 draws")
    assert "augmenter" not in text.splitlines()[0]


def test_requests_for_long_words_are_set_apart() -> None:
    assert "192 requests of the high bound, a token each, are for label words" in flat(make(make_line(followed=192)))
    assert "label words of several tokens" not in flat(make())


def test_no_language_model_is_one_sentence() -> None:
    assert forecast_text(Forecast([], {}), 80) == (
        "No augmenter of the experiment asks a language model: nothing will be spent on one.\n"
    )


@pytest.mark.parametrize(
    ("caps", "spent", "told"),
    [
        ({"usd": 0.0206}, {}, "budget.usd is 0.02, which is enough for what is counted here."),
        ({"usd": 0.0206}, {"usd": 0.001}, "budget.usd is 0.02, which may not do"),
        ({"usd": 0.0206}, {"usd": 0.019}, "budget.usd is 0.02, which will not do"),
        ({"requests": 288}, {}, "budget.requests is 288, which is enough"),
        ({"requests": 287}, {}, "budget.requests is 287, which may not do"),
        ({"requests": 95}, {}, "budget.requests is 95, which will not do"),
        ({"tokens": 90_800}, {}, "budget.tokens is 91k, which is enough"),
        ({"tokens": 90_799}, {}, "budget.tokens is 91k, which may not do"),
        ({"tokens": 12_000}, {}, "budget.tokens is 12k, which will not do"),
    ],
)
def test_caps_are_held_against_the_bounds(caps: dict[str, float], spent: dict[str, float], told: str) -> None:
    assert told in flat(make(account=Account(caps, {**NONE_SPENT, **spent})))


def test_what_is_spent_is_told_without_caps_too() -> None:
    text = flat(make(account=Account({}, {"usd": 0.5, "requests": 30, "tokens": 12_345})))
    assert "Spent so far, with what requests under way may cost: 0.50 US dollars, 30 requests, 12k tokens." in text
    assert "budget." not in text


def test_caps_leave_out_what_runs_here() -> None:
    here = make_line(augmenter="here", llm="local", usd=Span(0, 0))
    told = Account({"requests": 288}, NONE_SPENT)
    text = flat(make(make_line(), here, models={"luna": PRICED, "local": Model(here=True)}, account=told))
    assert "budget.requests is 288, which is enough" in text


# Terminals.


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("name", ["mix", "an-augmenter-whose-name-is-far-too-long-for-a-column-of-a-table"])
def test_no_number_is_cut_and_no_line_too_long(width: int, name: str) -> None:
    text = make(make_line(augmenter=name, usd=Span(0.000011, 1234.5)), width=width)
    assert all(len(line) <= width for line in text.splitlines())
    for number in ("96-288", "10k-62k", "1900-29k", "0.000011-1,234.50"):
        assert number in text.split("stored and free")[0]


def test_narrow_terminal_gets_a_block_a_line() -> None:
    lines = make(width=40).splitlines()
    assert lines[:4] == ["mix, luna", "  rows: 96", "  stored: 12", "  to ask: 96-288"]


def test_hostile_texts_stay_texts() -> None:
    source = "[red]\x1b[31mfree[/red]\u202e {0}"
    text = make(models={"luna": Model(here=False, price=(0.1, 0.5), as_of="2026-11-22", source=source)})
    assert "[red] [31mfree[/red] {0}" in flat(text)
    assert "\x1b" not in text


def test_large_numbers_are_short() -> None:
    amount = Amount(Span(9_999, 10_000), Span(999_400, 1_500_000), Span(0, 0))
    row = next(line for line in make(make_line(amount=amount)).splitlines() if line.startswith("mix"))
    assert row.split()[4:7] == ["9999-10k", "999k-1.5M", "0"]
