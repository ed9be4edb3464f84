"""The card of an exported model: its `README.md`, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from huggingface_hub.repocard_data import ModelCardData

from hypermix.report.format import NOT_DEFINED, count, decimal, dollars, interval, percent
from hypermix.report.markdown import escaped, table

NOT_KNOWN = "not known"
"""What stands where a license or terms are not known here."""

_HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "mcc": "matthews_correlation"}
"""The names that the hub has for measures."""

_WORDS = {
    "accuracy": "accuracy, %",
    "macro_f1": "macro F1, %",
    "mcc": "Matthews correlation",
    "log_loss": "log loss, nats",
    "brier": "Brier score",
    "ece": "calibration error",
}
_IN_PERCENT = ("accuracy", "macro_f1")
_SPENT = ("requests", "prompt_tokens", "completion_tokens")

_USE = """```python
from transformers import pipeline

classify = pipeline("text-classification", model="PATH_OF_THIS_FOLDER", truncation=True)
classify("a text")               # the likeliest label and its probability
classify("a text", top_k=None)   # every label
```

Or for the rows of a file: `hypermix predict PATH_OF_THIS_FOLDER rows.csv predictions.csv`."""


@dataclass(frozen=True)
class Data:
    """The rows.

    Attributes:
        name: The dataset's name in the config.
        source: Where it comes from, in words.
        hub_id: Its id on the hub; None for others.
        license: Its license; None if that is not known.
        classes: Rows of train and of validation by label, in the order of the model's outputs.
        repeated: Whether train, validation and test are one draw of several.
    """

    name: str
    source: str
    hub_id: str | None
    license: str | None
    classes: Mapping[str, tuple[int, int]]
    repeated: bool


@dataclass(frozen=True)
class Base:
    """The model that training started from.

    Attributes:
        name: What it is called.
        hub_id: Its id on the hub; None for others.
        license: Its license; None if that is not known.
    """

    name: str
    hub_id: str | None
    license: str | None


@dataclass(frozen=True)
class Synthetic:
    """The rows that were made.

    Attributes:
        augmenter: The augmenter's name in the config.
        settings: Its settings.
        llm: The language model that was asked, in words; None if none was.
        terms: The terms of its output; None if they are not known.
        kept: Rows that were trained on.
        rejected: Rows that were not.
        spent: ``requests``, ``prompt_tokens``, ``completion_tokens`` and ``usd``, which is None if nobody told a price.
    """

    augmenter: str
    settings: Mapping[str, object]
    llm: str | None
    terms: str | None
    kept: int
    rejected: int
    spent: Mapping[str, float | None]


@dataclass(frozen=True)
class Training:
    """How the model was trained.

    Attributes:
        classifier: The classifier's name in the config.
        settings: Its settings.
        n_train: Real rows.
        steps: Steps until it stopped.
        best_epoch: The epoch whose weights it has.
        seeds: The seeds, by what they decide.
        versions: Versions of what made it.
    """

    classifier: str
    settings: Mapping[str, object]
    n_train: int
    steps: int
    best_epoch: int
    seeds: Mapping[str, int]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Judged:
    """What is known of its quality.

    Attributes:
        metrics: The measures of this very model on the test rows, by their names in the table ``metrics``.
        accuracy: Lower and upper bound of the interval of its accuracy.
        n_test: Test rows.
        study: The rows of the table ``summary`` for this variant, with ``n_train``, the mean of the runs' train rows.
        level: Coverage of all intervals.
        why: Why this variant was taken, in sentences.
        headline: The verdict on the experiment, in a sentence.
        sentences: The verdicts on the augmenters with this dataset and classifier, each with its size.
    """

    metrics: Mapping[str, float]
    accuracy: tuple[float, float]
    n_test: int
    study: pd.DataFrame
    level: float
    why: str
    headline: str
    sentences: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """All that a card tells.

    Attributes:
        data: The rows.
        base: The model that training started from.
        synthetic: The rows that were made.
        training: How the model was trained.
        judged: What is known of its quality.
        license: Under which license the model is passed on; None if none is set.
        language: The language of the texts; None if it is not known.
    """

    data: Data
    base: Base
    synthetic: Synthetic
    training: Training
    judged: Judged
    license: str | None
    language: str | None


def card_text(card: Card) -> str:
    """Return the card as Markdown behind its front matter. It holds no time, so equal models have equal cards."""
    sections = {
        f"Text classifier for {escaped(card.data.name)}": _opening(card),
        "How to use it": iter([_USE]),
        "Data": _data(card.data, card.training.settings),
        "Synthetic rows": _synthetic(card.synthetic),
        "Training": _training(card),
        "Does augmentation help?": _verdict(card.judged),
        "Quality of this model": _own_quality(card.judged),
        "Quality in the experiment": _study(card),
        "Limits": _limits(card),
        "Licenses": _licenses(card),
    }
    lines = ["---", _front_matter(card), "---"]
    for position, (title, body) in enumerate(sections.items()):
        lines += ["", f"{'##' if position else '#'} {title}", "", *body]
    return "\n".join(lines) + "\n"


def _front_matter(card: Card) -> str:
    told = ModelCardData(
        language=card.language,
        license=card.license,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["hypermix"],
        base_model=card.base.hub_id,
        datasets=None if card.data.hub_id is None else [card.data.hub_id],
        metrics=[_HUB_METRICS[name] for name in card.judged.metrics if name in _HUB_METRICS],
    )
    return str(told.to_yaml(line_break="\n"))


def _opening(card: Card) -> Iterator[str]:
    names = ", ".join(escaped(label) for label in card.data.classes)
    made = f" and {count(card.synthetic.kept)} synthetic ones" if card.synthetic.kept else ""
    yield f"It tells which of {len(card.data.classes)} labels a text has: {names}."
    yield (
        f"It is {escaped(card.base.name)}, fine-tuned by HyperMix {escaped(card.training.versions['hypermix'])} on all "
        f"{count(card.training.n_train)} labelled rows for training{made}. {escaped(card.judged.why, 1000)}"
    )


def _data(data: Data, settings: Mapping[str, object]) -> Iterator[str]:
    yield f"Source: {escaped(data.source)}. License: {escaped(data.license or NOT_KNOWN)}.\n"
    rows = [(escaped(label), *map(count, counts)) for label, counts in data.classes.items()]
    total = [count(sum(counts)) for counts in zip(*data.classes.values(), strict=True)]
    yield from table(["label", "rows for training", "rows for validation"], [*rows, ("all", *total)])
    used = _uses(data, settings)
    told = f"Validation rows decided {used}" if used else "Validation rows decided nothing"
    yield f"\n{told}; no weight was fitted to them, and none to a test row."


def _uses(data: Data, settings: Mapping[str, object]) -> str:
    """Word what validation rows are for under a recipe; empty for nothing."""
    stops, keeps = settings.get("patience") is not None, settings.get("keep", "best") == "best"
    if not any(validation for _, validation in data.classes.values()):
        return ""
    return " and ".join([*["when training stopped"] * stops, *["which weights were kept"] * keeps])


def _synthetic(made: Synthetic) -> Iterator[str]:
    if made.llm is None and not made.kept:
        yield f"None: the augmenter is {escaped(made.augmenter)}."
        return
    rows = f"{count(made.kept)} rows; {count(made.rejected)} more were rejected"
    yield f"The augmenter {escaped(made.augmenter)} gave {rows}."
    if made.llm is not None:
        requests, prompt, completion = (count(made.spent[part]) for part in _SPENT)
        yield (
            f"They were written by {escaped(made.llm)}: {requests} requests, {prompt} tokens of prompts, {completion} "
            f"tokens of answers, US dollars: {dollars(made.spent['usd'])}."
        )
    yield ""
    yield from _settings(made.settings)


def _training(card: Card) -> Iterator[str]:
    training = card.training
    seeds = ", ".join(f"{name} {seed}" for name, seed in training.seeds.items())
    best = "kept" in _uses(card.data, training.settings)
    which = "best on the validation rows" if best else "the last"
    yield (
        f"The classifier {escaped(training.classifier)} was trained for {count(training.steps)} steps and has the "
        f"weights of epoch {training.best_epoch}, which were {which}. Limits in steps were raised where they would "
        f"have ended before every row was read once. Seeds: {seeds}.\n"
    )
    yield from _settings(training.settings)
    yield f"\nMade with {', '.join(f'{name} {escaped(version)}' for name, version in training.versions.items())}."


def _settings(settings: Mapping[str, object]) -> Iterator[str]:
    rows = [(f"`{name}`", escaped("null" if value is None else value)) for name, value in settings.items()]
    yield from table(["setting", "value"], rows)


def _verdict(judged: Judged) -> Iterator[str]:
    yield escaped(judged.headline, 1000)
    if judged.sentences:
        yield ""
    for size, sentence in judged.sentences:
        yield f"- {escaped(size)}: {escaped(sentence, 1000)}"


def _own_quality(judged: Judged) -> Iterator[str]:
    low, high = judged.accuracy
    yield (
        f"Of {count(judged.n_test)} test rows this very model gets {percent(judged.metrics['accuracy'])} % right "
        f"({100 * judged.level:g} % interval {interval(low, high)} %, over the rows: another training run would differ "
        "too).\n"
    )
    rows = [(word, _value(name, judged.metrics[name])) for name, word in _WORDS.items() if name in judged.metrics]
    yield from table(["measure", "value"], rows)


def _study(card: Card) -> Iterator[str]:
    judged, study = card.judged, card.judged.study
    if study.empty:
        yield "No run of the experiment has this variant, so only the numbers above are known."
        return
    yield (
        "These are estimates from smaller subsamples of the rows, over several data seeds. They tell how good this "
        "*way* of training is with so few rows, and not how good this model is.\n"
    )
    rows = [
        (
            f"{_WORDS[row['metric']]} at {escaped(row['subsample'])}",
            count(row["n_train"]),
            row["n_seeds"],
            _value(row["metric"], row["mean"]),
            _bounds(row),
        )
        for row in study.to_dict("records")
    ]
    header = ["measure", "train rows", "data seeds", "mean", f"{100 * judged.level:g} % interval"]
    yield from table(header, rows)


def _limits(card: Card) -> Iterator[str]:
    training, study = card.training, card.judged.study
    yield f"- It knows {len(card.data.classes)} labels and gives one of them to every text, whatever the text is about."
    longest = escaped(training.settings.get("max_length", NOT_KNOWN))
    yield f"- Texts are cut after {longest} tokens, or fewer if the base model takes fewer."
    yield "- It is one training run with one seed; another seed gives another model."
    yield ("- The test rows also served to choose this variant, so what is told of it is a little too good.")
    if not study.empty:
        sizes = ", ".join(count(size) for size in sorted(set(study["n_train"])))
        yield (
            f"- The verdict is about {sizes} train rows. It does not tell whether synthetic rows still help with "
            f"{count(training.n_train)}."
        )
    if card.data.repeated:
        yield "- Train, validation and test rows are one draw of several from the same rows; the draws overlap."
    if card.synthetic.kept and card.synthetic.llm is not None:
        yield "- Synthetic rows carry what the language model got wrong, and were not read by a person."


def _licenses(card: Card) -> Iterator[str]:
    yield f"- This model: {escaped(card.license or 'no license is set')}."
    yield f"- Base model, {escaped(card.base.name)}: {escaped(card.base.license or NOT_KNOWN)}."
    yield f"- Data, {escaped(card.data.source)}: {escaped(card.data.license or NOT_KNOWN)}."
    if card.synthetic.llm is not None:
        terms = escaped(card.synthetic.terms or NOT_KNOWN, 1000)
        yield f"- Output of the language model, {escaped(card.synthetic.llm)}: {terms}."
    yield "\nWhat is not known here must be looked up before this model is passed on."


def _value(metric: str, value: float) -> str:
    return percent(value) if metric in _IN_PERCENT else decimal(value)


def _bounds(row: Mapping[object, object]) -> str:
    low, high = (_value(str(row["metric"]), _as_float(row[end])) for end in ("ci_low", "ci_high"))
    return NOT_DEFINED if NOT_DEFINED in (low, high) else f"{low} to {high}"


def _as_float(value: object) -> float:
    return float(str(value))
