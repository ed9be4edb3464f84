"""What an experiment will ask of language models, and for how much, as plain text for a terminal of any width."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from hypermix.report.console import Page, plain
from hypermix.report.format import dollars

SUBSAMPLE = "snakemake --cores 2 {target}--until subsample"
"""The command that draws the rows on which a plan rests."""

_THOUSAND, _MILLION = 1_000, 1_000_000
_WHOLE = 10 * _THOUSAND
"""Numbers below this are written in full."""

_MEANING = (
    "Low: each row is made at its first try, as long as a typical row of its subsample. High: every try is used, with "
    "the longest answers and all requests that labels can take."
)


@dataclass(frozen=True)
class Span:
    """A low and a high bound."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Amount:
    """Bounds on requests and on the tokens of prompts and answers."""

    requests: Span = field(default_factory=Span)
    prompt: Span = field(default_factory=Span)
    completion: Span = field(default_factory=Span)

    @property
    def tokens(self) -> Span:
        """Tokens of prompts and answers together, as caps count them."""
        return self.prompt + self.completion

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.requests + other.requests, self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True)
class Line:
    """What one augmenter will ask of one language model.

    Attributes:
        augmenter: Its name.
        llm: The name of the language model.
        rows: Synthetic rows that are wanted.
        stored: Answers that the store has; they are free.
        amount: What is still to ask.
        usd: Its price in US dollars; None if the config gives none.
        followed: How many requests of the high bound follow beginnings of label words.
    """

    augmenter: str
    llm: str
    rows: int
    stored: int
    amount: Amount
    usd: Span | None
    followed: int = 0


@dataclass(frozen=True)
class Model:
    """A language model that the experiment asks.

    Attributes:
        here: Whether it runs here and costs nothing.
        price: Dollars a million tokens of prompts and of answers; None if the config gives no price.
        as_of: The day on which the price was read.
        source: Where it was read; None if the config does not say.
        assumed: Whether nobody asked it yet what it takes.
        guessed: Whether its tokens are guessed from bytes, and not measured in stored answers.
    """

    here: bool
    price: tuple[float, float] | None = None
    as_of: str = ""
    source: str | None = None
    assumed: bool = False
    guessed: bool = False


@dataclass(frozen=True)
class Account:
    """The caps of the budget that are set, and what is spent of them: ``usd``, ``requests``, ``tokens``."""

    caps: Mapping[str, float]
    spent: Mapping[str, float]


@dataclass(frozen=True)
class Forecast:
    """What an experiment will ask.

    Attributes:
        lines: A line for each augmenter and language model, in the order of the config.
        models: The language models, by name.
        missing: Draws of rows that are not there yet, so that nothing can be told of them.
        draws: All draws of rows that language models go on with.
        account: The budget; None if no hosted model is asked.
        export: Whether the rows of the exported model are counted too.
        files: The config files, for the commands that are told; none for the default one.
        notes: What else is to be known, a sentence each, such as which columns were guessed.
    """

    lines: Sequence[Line]
    models: Mapping[str, Model]
    missing: int = 0
    draws: int = 0
    account: Account | None = None
    export: bool = False
    files: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def hosted(self) -> list[Line]:
        """The lines that the budget counts."""
        return [line for line in self.lines if not self.models[line.llm].here]


def forecast_text(forecast: Forecast, width: int) -> str:
    """Write a forecast for a terminal.

    Args:
        forecast: What it tells.
        width: Columns of the terminal.

    Returns:
        Lines that are at most so wide, without colors; where a table has no room, a block a line.
    """
    if not forecast.models:
        return "No augmenter of the experiment asks a language model: nothing will be spent on one.\n"
    page = Page(width)
    console = page.console
    if forecast.lines:
        table = _table(forecast.lines)
        needed = console.measure(table, options=console.options.update_width(_WIDEST)).minimum
        if needed <= width:
            console.print(table)
        else:
            for block in _blocks(forecast.lines):
                console.print(Text(block, overflow="fold"))
        console.print()
    for sentence in _sentences(forecast, width):
        console.print(Text("\n".join(map(plain, sentence.splitlines())), overflow="fold"))
    return page.text()


_HEADERS = ("augmenter", "llm", "rows", "stored", "to ask", "prompt tokens", "answer tokens", "US dollars")
_NAMES = 2
_WIDEST = 10_000
_SHORTEST = 9
"""Columns that a name has at least before it goes on in the next line."""


def _table(lines: Sequence[Line]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, header in enumerate(_HEADERS):
        if position < _NAMES:
            table.add_column(header, overflow="fold", min_width=_SHORTEST)
        else:  # numbers stay whole
            table.add_column(header.replace(" ", "\n"), justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, _cells(line)))
    return table


def _blocks(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        augmenter, llm, *numbers = _cells(line)
        told = [f"  {header}: {number}" for header, number in zip(_HEADERS[_NAMES:], numbers, strict=True)]
        yield "\n".join([f"{augmenter}, {llm}", *told])


def _cells(line: Line) -> list[str]:
    amount = line.amount
    spans = [_counts(span) for span in (amount.requests, amount.prompt, amount.completion)]
    return [line.augmenter, line.llm, _number(line.rows), _number(line.stored), *spans, _usd(line.usd)]


def _sentences(forecast: Forecast, width: int) -> Iterator[str]:
    if forecast.lines:
        yield _total(forecast.lines)
    if forecast.missing:
        yield (
            f"{forecast.missing} of {forecast.draws} draws of rows are not there yet and not counted; make them with:\n"
            f"{_command(forecast, width)}"
        )
    yield from forecast.notes
    for name, model in forecast.models.items():
        yield from _tell_model(name, model)
    if forecast.account is not None:
        yield from _tell_account(forecast.account, forecast.hosted)
    if any(line.amount.requests.high for line in forecast.lines):
        yield _MEANING
    followed = sum(line.followed for line in forecast.lines)
    if followed:
        yield (
            f"{_number(followed)} requests of the high bound, a token each, are for label words of several tokens; "
            "where each is one token, hardly any of them are needed."
        )


def _command(forecast: Forecast, width: int) -> str:
    """Word the command that draws rows; a long one is broken as a shell takes it, so that it can be copied."""
    files = list(map(shlex.quote, forecast.files))
    parts = [SUBSAMPLE.format(target="export " if forecast.export else "")]
    parts += [f"--configfile {files[0]}", *files[1:]] if files else []
    told = " ".join(parts)
    return told if len(told) <= width else " \\\n".join(parts)


def _total(lines: Sequence[Line]) -> str:
    amount = sum((line.amount for line in lines), Amount())
    stored = sum(line.stored for line in lines)
    known = [line.usd for line in lines if line.usd is not None]
    usd = sum(known, Span())
    free = f"{_number(stored)} {'answer is' if stored == 1 else 'answers are'} stored and free."
    if not amount.requests.high:
        return f"{free} Nothing is left to ask."
    lacking = list(dict.fromkeys(line.llm for line in lines if line.usd is None))
    price = f"{_usd(usd)} US dollars"
    if lacking:
        of_others = f"{price} and that of {', '.join(lacking)}, which is unknown" if known else "unknown"
        price = f"price: {of_others}"
    return (
        f"{free} To ask: {_counts(amount.requests)} requests, {_counts(amount.prompt)} prompt tokens, "
        f"{_counts(amount.completion)} answer tokens, {price}."
    )


def _tell_model(name: str, model: Model) -> Iterator[str]:
    if model.here:
        yield f"{name} runs here and costs nothing."
    elif model.price is None:
        yield f"{name}: the config gives no price, so that tokens are told and no dollars."
    else:
        read = f"read on {model.as_of}" + (f", {model.source}" if model.source else "")
        prompt, answer = map(_dollars, model.price)
        yield f"{name}: {prompt} US dollars a million prompt tokens, {answer} a million answer tokens ({read})."
    if model.assumed:
        yield (
            f"{name} was not asked yet what it takes; it is assumed to take everything, and the first run finds out "
            "(the line probe)."
        )
    if model.guessed:
        yield f"{name}: prompt tokens are taken to have 2 to 6 bytes; stored answers will make this narrower."


_UNITS = {"usd": "US dollars", "requests": "requests", "tokens": "tokens"}


def _tell_account(account: Account, lines: Sequence[Line]) -> Iterator[str]:
    spent = ", ".join(f"{_of(name, account.spent[name])} {unit}" for name, unit in _UNITS.items())
    yield f"Spent so far, with what requests under way may cost: {spent}."
    amount = sum((line.amount for line in lines), Amount())
    usd = sum((line.usd for line in lines if line.usd is not None), Span())
    for name, span in (("usd", usd), ("requests", amount.requests), ("tokens", amount.tokens)):
        if name not in account.caps:
            continue
        cap, before = account.caps[name], account.spent[name]
        told = f"budget.{name} is {_of(name, cap)}"
        if before + span.low > cap:
            yield f"{told}, which will not do: the runs will stop at it; raise it, or ask for less."
        elif before + span.high > cap:
            yield f"{told}, which may not do: if it is met, the runs stop, and can go on with a higher one."
        else:
            yield f"{told}, which is enough for what is counted here."


def _of(name: str, number: float) -> str:
    return _dollars(number) if name == "usd" else _number(number)


def _counts(span: Span) -> str:
    low, high = _number(span.low), _number(span.high)
    return low if low == high else f"{low}-{high}"


def _usd(span: Span | None) -> str:
    if span is None:
        return "unknown"
    low, high = _dollars(span.low), _dollars(span.high)
    return low if low == high else f"{low}-{high}"


def _number(number: float) -> str:
    if number < _WHOLE:
        return f"{number:.0f}"
    return f"{number / _THOUSAND:.0f}k" if number < _MILLION else f"{number / _MILLION:.1f}M"


def _dollars(usd: float) -> str:
    return dollars(usd).replace("\u202f", ",")
