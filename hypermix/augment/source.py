"""Where soft labels come from: one dialogue for each `label_source`, after the row was written.

In all of them the label of a row is the word that the model wrote with the text, as in the reference. The soft label
is a distribution over the labels for that text, and may find another one likelier: what is trained on is the
distribution, and the word says what the model was about to write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import Slot, one_hot
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.form import Form, show_items
from hypermix.augment.lexicon import Lexicon
from hypermix.augment.parse import Parsed, Place
from hypermix.augment.prompt import describe_list, open_label, show_word
from hypermix.augment.score import MISSING, SHORT, ZERO, SoftLabel, Tally, find_fault, locate_label, share_of
from hypermix.records import COMPLETIONS, DECISIONS, Abilities, Choice, Example, Request, Task, Token
from hypermix.seeding import child_seed
from hypermix.templates import one_line

NEGLIGIBLE = 0.01
"""Share of the probability on label words that may stay on beginnings which nobody follows. With words of one token a
small model leaves 0.2 % there, on parts such as " Pos": four requests a row instead of one would change the third
decimal of a soft label."""

MOST_FOLLOWED = 12
"""Requests that follow beginnings of label words, for one row."""

LABEL_FIRST = "label written before the text"
NO_ECHO = "the prompt was not echoed"
REFUSED = "the decision was refused"
NO_DECISION = "no label word among the decision's values"
NO_VOTE = "no vote was a label word"

Labeled = SoftLabel | str
"""A soft label, or why there is none."""


@dataclass(frozen=True)
class Scene:
    """A row that was written, and how it was asked for.

    Attributes:
        form: The form of the requests.
        task: The wording of the dataset.
        abilities: What the endpoint takes.
        settings: The settings of the augmenter.
        examples: The rows that were shown.
        seed: The data seed or trial seed.
        slot: Which try at which row.
        body: What was asked.
        choice: What was answered.
        parsed: What was read from it.
    """

    form: Form
    task: Task
    abilities: Abilities
    settings: Mapping[str, Any]
    examples: Sequence[Example]
    seed: int
    slot: Slot
    body: Mapping[str, Any]
    choice: Choice
    parsed: Parsed

    @property
    def text(self) -> str:
        """The text of the row."""
        return self.parsed.text or ""

    def request(self, body: Mapping[str, Any], *name: str | int) -> Request:
        """Return a request about this row; its sampling, where it matters, depends on the slot and its name alone.

        The temperature is 1: the probabilities that an endpoint tells are then the model's own, whether it tells them
        before or after it applies the temperature.
        """
        sampling: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0} if self.abilities.sampling else {}
        if self.abilities.seed:
            sampling["seed"] = child_seed(self.seed, ("gpt3mix", "label", *self.slot, *name), bits=31)
        return Request(self.form.path, {**body, **sampling}, "-".join(map(str, (self.seed, *self.slot, *name))))


Source = Callable[[Scene], Dialogue[Labeled]]


def read_hard(scene: Scene) -> Dialogue[Labeled]:
    """Take the word that was written; nothing is asked."""
    yield from ()
    return SoftLabel(one_hot(scene.parsed.label or "", scene.task.labels), 1.0)


def read_written(scene: Scene) -> Dialogue[Labeled]:
    """Read the probabilities at the label of the row (Yoo et al. 2021, section 3.2), for whole words.

    Beginnings of words that were not written are followed by further requests, where the form can make a model go on.
    """
    if scene.parsed.place is None or scene.parsed.label_first:
        return LABEL_FIRST
    return (yield from _read_label(scene, scene.form.item_words, scene.body, scene.choice, scene.parsed.place))


def classify(scene: Scene) -> Dialogue[Labeled]:
    """Ask for the label alone, after the same examples, and read the probabilities there."""
    body = scene.form.ask_label(scene.examples, scene.text, 1)
    (answer,) = yield [scene.request({**body, **scene.form.logprobs}, "label")]
    return (yield from _read_label(scene, scene.form.label_words, body, answer.choices[0], Place(0, 0, 0)))


def vote(scene: Scene) -> Dialogue[Labeled]:
    """Ask for the label alone several times, and count; one vote is added for each label (Laplace)."""
    count, labels = scene.settings["votes"], scene.task.labels
    body = scene.form.ask_label(scene.examples, scene.text, scene.settings["max_tokens"])
    if scene.abilities.n:
        asked = [scene.request({**body, "n": count}, "vote")]
    else:
        asked = [scene.request(body, "vote", number) for number in range(count)]
    answers = yield asked
    voted = [scene.form.read_label(choice.text) for answer in answers for choice in answer.choices]
    valid = [label for label in voted if label is not None]
    if not valid:
        return NO_VOTE
    shares = [(valid.count(label) + 1) / (len(valid) + len(labels)) for label in labels]
    return SoftLabel(tuple(shares), len(valid) / len(voted))


def decide(scene: Scene) -> Dialogue[Labeled]:
    """Ask the Decisions API for the label, with the same examples in its input."""
    words = {label: show_word(scene.task, label) for label in scene.task.labels}
    listed = show_items(scene.examples, scene.task)
    kind = scene.task.label_type.lower()
    question = {
        "type": "choice",
        "instructions": f"Which {kind} does the last {scene.task.text_type.lower()} have?",
        "choices": [{"value": word} for word in words.values()],
    }
    text = f"{describe_list(scene.task)}\n\n{listed}\n\nThe last one, without its {kind}:\n\n{one_line(scene.text)}"
    name = "-".join(map(str, (scene.seed, *scene.slot, "decision")))
    (answer,) = yield [Request(DECISIONS, {"input": text, "questions": [question]}, name)]
    if answer.finish_reason == "refusal":
        return REFUSED
    shares = [answer.probabilities.get(word, 0.0) for word in words.values()]
    total = math.fsum(shares)
    if total <= 0.0:
        return NO_DECISION
    return SoftLabel(tuple(share / total for share in shares), min(total, 1.0))


def score(scene: Scene) -> Dialogue[Labeled]:
    """Ask for the log-probabilities of a prompt that ends with each label word, one request a word.

    One token more is generated, since not all endpoints take 0; it is not read.
    """
    opened = open_label(scene.body["prompt"], scene.text, scene.task)
    tails = [f" {show_word(scene.task, label).strip()}" for label in scene.task.labels]
    bodies = [
        {"prompt": f"{opened}{tail})", "echo": True, "logprobs": 1, scene.abilities.max_tokens: 1} for tail in tails
    ]
    answers = yield [scene.request(body, "score", place) for place, body in enumerate(bodies)]
    sums = []
    for tail, answer in zip(tails, answers, strict=True):
        found = _sum_tail(answer.tokens, opened, tail, more=_begins_another(tail, tails))
        if isinstance(found, str):
            return found
        sums.append(found)
    # The largest is taken out first, so that small probabilities do not become zero.
    largest = max(sums)
    if largest == -math.inf:
        return MISSING
    shares = [math.exp(one - largest) for one in sums]
    total = math.fsum(shares)
    return SoftLabel(tuple(share / total for share in shares), min(share_of(largest) * total, 1.0))


SOURCES: Mapping[str, Source] = {
    "logprobs": read_written,
    "scoring": score,
    "classify": classify,
    "decisions": decide,
    "vote": vote,
    "hard": read_hard,
}
"""The dialogue of each `label_source`."""


def _read_label(
    scene: Scene, words: Lexicon, body: Mapping[str, Any], choice: Choice, place: Place
) -> Dialogue[Labeled]:
    located = locate_label(choice.tokens, choice.text, place)
    if isinstance(located, str):
        return located
    first, lead = located
    tally = Tally(words, lead)
    tally.follow(choice.tokens[first:])
    if scene.form.path == COMPLETIONS:
        before = choice.text.encode("utf-8", "surrogatepass")[: place.opened - len(lead)]
        yield from _follow(scene, tally, body["prompt"].encode("utf-8", "surrogatepass") + before)
    return tally.conclude()


def _follow(scene: Scene, tally: Tally, before: bytes) -> Dialogue[None]:
    """Follow the beginnings of label words, the likeliest first, until those that are left do not matter."""
    asked = 0
    while True:
        prompts = {path: _text(before + path) for path in tally.branches}
        chosen = {path: prompt for path, prompt in prompts.items() if prompt is not None}
        paths = _choose({path: tally.branches[path] for path in chosen}, tally.total)[: MOST_FOLLOWED - asked]
        if not paths:
            return
        asked += len(paths)
        fixed = {scene.abilities.max_tokens: 1, **scene.form.logprobs}
        # All of a row have one name: beginnings that are met again are the same request.
        answers = yield [scene.request({"prompt": chosen[path], **fixed}, "word") for path in paths]
        shares = [tally.branches.pop(path) for path in paths]
        for path, share, answer in zip(paths, shares, answers, strict=True):
            if find_fault(answer.tokens) is None and answer.tokens[0].top:
                tally.follow(answer.tokens[:1], path, share)
            else:
                tally.lost += share


def _choose(branches: Mapping[bytes, float], total: float) -> list[bytes]:
    """Return the likeliest branches, without which the others are negligible."""
    left, chosen = math.fsum(branches.values()), []
    for path, share in sorted(branches.items(), key=lambda branch: (-branch[1], branch[0])):
        if left <= NEGLIGIBLE * total:
            break
        chosen.append(path)
        left -= share
    return chosen


def _text(prompt: bytes) -> str | None:
    """Return a prompt as text; None if it ends inside a character, with which no prompt can end."""
    try:
        return prompt.decode()
    except UnicodeDecodeError:
        return None


def _sum_tail(tokens: Sequence[Token], opened: str, tail: str, *, more: bool) -> float | str:
    """Add up the log-probabilities of the tokens of a word at the end of an echoed prompt.

    Args:
        tokens: The tokens of the prompt, and one more.
        opened: The prompt up to the word.
        tail: The word with the space before it. The prompt has a bracket after it.
        more: Whether the bracket counts too, since the word begins another one.
    """
    fault = find_fault(tokens)
    if fault is not None:
        return fault
    bracket = opened[opened.rindex("(") :].encode()
    word = tail.encode()
    start = b"".join(token.text for token in tokens).rfind(bracket + word + b")")
    if start < 0:
        return NO_ECHO
    start += len(bracket)
    stop = start + len(word) + more
    end, total = 0, 0.0
    for token in tokens:
        begin, end = end, end + len(token.text)
        if end > start and begin < stop and token.text:
            if math.isnan(token.logprob):
                return SHORT
            total += min(token.logprob, 0.0)
    return ZERO if total == 0.0 else total


def _begins_another(word: str, words: Sequence[str]) -> bool:
    return any(other != word and other.casefold().startswith(word.casefold()) for other in words)
