"""Another label for each row, by someone who did not write it: a language model, or a classifier of the real rows.

PromptMix (Sahu et al. 2023) does so with every row, since a text that was asked for with one label often has another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypermix.augment.base import Around, Augmenter, Material, Slot, one_hot
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.form import MOST_LETTERS, MOST_LOGPROBS, ChatForm, CompletionsForm, Form
from hypermix.augment.gpt3mix import name_source
from hypermix.augment.lexicon import check_words
from hypermix.augment.parse import Parsed
from hypermix.augment.prompt import show_word
from hypermix.augment.score import SoftLabel
from hypermix.augment.source import MOST_FOLLOWED, Labeled, Scene, classify
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Choice, Example, SyntheticRow
from hypermix.seeding import child_generator

OTHERWISE = "relabeled otherwise"
"""Why a row is refused whose new label is not its own."""

NO_LABEL = "no label when relabeled"
"""Why a row is refused that got no other label."""

Labeler = Callable[[str], Sequence[float]]
"""Returns the probability of each label for a text, in label order."""


@dataclass(frozen=True)
class Relabeled(Around):
    """Makes the rows of another augmenter, and then gives each a label anew.

    Attributes:
        material: What they are made from.
        settings: The section `relabel` of the augmenter.
        form: How a language model is asked; None if a classifier is.
        labeler: The classifier; None if a language model is asked.
    """

    material: Material
    settings: Mapping[str, Any]
    form: Form | None = None
    labeler: Labeler | None = None

    @property
    def most_requests(self) -> int:
        """Those of the other augmenter, and those for one label."""
        if self.form is None:
            return self.inner.most_requests
        followed = MOST_FOLLOWED if self._soft and isinstance(self.form, CompletionsForm) else 0
        return self.inner.most_requests + 1 + followed

    @property
    def label_tokens(self) -> int:
        """The most tokens of one of the requests for a label."""
        if self.form is None or self._soft:
            return 1
        body = self.form.ask_label([], "", self.settings["max_tokens"])
        return int(body[(self.material.abilities or Abilities()).max_tokens])

    def rehearse(self, example: Example, turn: int) -> str:
        """Return what the other augmenter reads as a row, and then a label."""
        if turn < self.inner.most_requests or self.form is None:
            return self.inner.rehearse(example, turn)
        return "A" if isinstance(self.form, ChatForm) else f" {show_word(self.material.task, example.label)})"

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Make a row and ask for its label.

        Raises:
            AugmentError: If the other augmenter cannot make it.
        """
        row = yield from self.inner.talk(slot)
        if not row.kept or row.text is None:
            return row
        labeled = yield from self._label(row, slot)
        if isinstance(labeled, str):
            return replace(row, reason=f"{NO_LABEL}: {labeled}")
        likeliest = max(range(len(labeled.probabilities)), key=lambda place: labeled.probabilities[place])
        label = self.material.task.labels[likeliest]
        if self.settings["then"] == "drop":
            return row if row.label == label else replace(row, reason=OTHERWISE)
        return replace(
            row,
            label=label,
            soft_label=labeled.probabilities,
            label_source=f"relabeled by {self.settings['by']}",
            label_mass=labeled.mass,
        )

    @property
    def _soft(self) -> bool:
        return bool(self.settings["labels"] == "soft")

    def _label(self, row: SyntheticRow, slot: Slot) -> Dialogue[Labeled]:
        text = row.text or ""
        if self.labeler is not None:
            return SoftLabel(tuple(float(share) for share in self.labeler(text)), 1.0)
        if self.form is None:
            raise ValueError("neither a language model nor a classifier gives labels")
        scene = Scene(
            self.form,
            self.material.task,
            self.material.abilities or Abilities(),
            self.settings,
            self._pick(slot),
            self.material.seed,
            slot,
            {},
            Choice("", "stop", ()),
            Parsed(text, row.label, None, None),
        )
        if self._soft:
            return (yield from classify(scene))
        request = scene.request(self.form.ask_label(scene.examples, text, self.settings["max_tokens"]), "relabel")
        if scene.abilities.sampling:
            request = replace(request, body={**request.body, "temperature": 0.0})
        (answer,) = yield [request]
        label = self.form.read_label(answer.text)
        return "no label word" if label is None else SoftLabel(one_hot(label, self.material.task.labels), 1.0)

    def _pick(self, slot: Slot) -> list[Example]:
        examples = self.material.examples
        count = min(self.settings["examples"], len(examples))
        return child_generator(self.material.seed, ("relabel", "examples", *slot)).sample(list(examples), count)


def relabel(inner: Augmenter, settings: Mapping[str, Any], material: Material, labeler: Labeler) -> Augmenter:
    """Let the rows of an augmenter be given other labels.

    Args:
        inner: The augmenter.
        settings: Its section `relabel`.
        material: What its rows are made from.
        labeler: The classifier, used with `by: classifier` alone.

    Raises:
        AugmentError: If a label word cannot stand in a prompt, or the endpoint cannot tell labels.
    """
    if settings["by"] == "classifier":
        return Relabeled(inner, material, settings, labeler=labeler)
    task, abilities = material.task, material.abilities or Abilities()
    check_words(task, chat=abilities.chat)
    problem = _lacking(settings["labels"], abilities, len(task.labels))
    if problem is not None:
        raise AugmentError(f"relabel.labels: {settings['labels']} {problem}")
    form = ChatForm(task, abilities) if abilities.chat else CompletionsForm(task, abilities)
    return Relabeled(inner, material, settings, form=form)


def name_scored(settings: Mapping[str, Any]) -> str | None:
    """Return where the labels of an augmenter come from that its rows end up with; see `name_source`.

    None where no label word is read from tokens: the method asks for texts of a label.
    """
    other = settings.get("relabel")
    if other is not None and other["by"] == "llm" and other["then"] == "replace":
        return "classify" if other["labels"] == "soft" else "hard"
    return name_source(settings) if settings["method"] == "gpt3mix" else None


def _lacking(labels: str, abilities: Abilities, count: int) -> str | None:
    """Return why labels cannot be asked for, and what to set instead; None if they can."""
    if labels == "soft" and not abilities.logprobs:
        return "needs log-probabilities, and the endpoint tells none; set relabel.labels: hard"
    if abilities.chat and count > MOST_LETTERS:
        return f"takes at most {MOST_LETTERS} labels in a chat, a letter each, the dataset has {count}"
    told = min(MOST_LOGPROBS, abilities.logprobs)
    if labels == "soft" and abilities.chat and count > told:
        return f"takes at most {told} labels in a chat, the dataset has {count}; set relabel.labels: hard"
    return None
