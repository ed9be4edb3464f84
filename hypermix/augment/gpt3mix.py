"""GPT3Mix: rows that a language model writes after a list of real ones (Yoo et al. 2021, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot, count_rows
from hypermix.augment.desk import tell_end
from hypermix.augment.dialogue import Dialogue
from hypermix.augment.form import MOST_LETTERS, MOST_LOGPROBS, ChatForm, CompletionsForm, Form
from hypermix.augment.lexicon import check_words
from hypermix.augment.parse import Parsed
from hypermix.augment.sampling import Sampler
from hypermix.augment.score import SoftLabel
from hypermix.augment.source import MOST_FOLLOWED, SOURCES, Scene
from hypermix.errors import AugmentError
from hypermix.records import Abilities, Choice, Example, Request, SyntheticRow
from hypermix.seeding import child_seed

MOST_DECIDED = 255


@dataclass(frozen=True)
class Gpt3Mix:
    """Asks for one row a prompt of k rows, drawn from all classes alike, and then for what its soft label needs.

    Attributes:
        material: What the draw is made from.
        abilities: What the endpoint takes.
        form: How it is asked.
        settings: The settings of the augmenter in the config.
        label_source: Where soft labels come from.
        sampler: Draws the rows of a prompt.
    """

    material: Material
    abilities: Abilities
    form: Form
    settings: Mapping[str, Any]
    label_source: str
    sampler: Sampler

    @property
    def attempts(self) -> int:
        """How often a row is tried."""
        return int(self.settings["attempts"])

    @property
    def most_requests(self) -> int:
        """The most requests that one try at one row can take."""
        followed = 0 if self.abilities.chat else MOST_FOLLOWED
        votes = 1 if self.abilities.n else self.settings.get("votes", 0)
        more = {"scoring": len(self.material.task.labels), "decisions": 1, "vote": votes, "hard": 0}
        return 1 + more.get(self.label_source, followed + (self.label_source == "classify"))

    def rehearse(self, example: Example, turn: int) -> str:  # noqa: ARG002 - all that comes later is short
        """Return a row in the form of an answer."""
        return self.form.write_item(example)

    @property
    def n_rows(self) -> int:
        """The multiple of the real rows, rounded."""
        return count_rows(len(self.material.examples), self.settings["multiplier"])

    def talk(self, slot: Slot) -> Dialogue[SyntheticRow]:
        """Ask for a row and then for its soft label; rows and sampling seeds depend on (seed, row, attempt) alone.

        Raises:
            AugmentError: If a prompt needs more rows than there are.
        """
        seed, shown = self.material.seed, self.sampler.pick(slot)
        body = self._body(shown, slot)
        (answer,) = yield [Request(self.form.path, body, "-".join(map(str, (seed, *slot))))]
        choice = answer.choices[0]
        parsed = self.form.parse(choice.text)
        soft, reason = None, _explain(parsed, choice)
        if reason is None:
            scene = Scene(
                self.form,
                self.material.task,
                self.abilities,
                self.settings,
                shown,
                seed,
                slot,
                body,
                choice,
                parsed,
            )
            labeled = yield from SOURCES[self.label_source](scene)
            soft, reason = (labeled, None) if isinstance(labeled, SoftLabel) else (None, labeled)
        return SyntheticRow(
            index=slot.row,
            text=parsed.text,
            label=parsed.label,
            soft_label=soft.probabilities if soft else None,
            label_source=self.label_source if soft else None,
            label_mass=soft.mass if soft else None,
            source_ids=tuple(example.id for example in shown),
            request_key=answer.key,
            reason=reason,
        )

    def _body(self, shown: Sequence[Example], slot: Slot) -> dict[str, Any]:
        """Return the request for a row; what the endpoint does not take is left out."""
        body = self.form.ask_item(shown)
        body[self.abilities.max_tokens] = self.settings["max_tokens"]
        if self.abilities.seed:
            body["seed"] = child_seed(self.material.seed, ("gpt3mix", "sampling", *slot), bits=31)
        if self.abilities.sampling:
            body |= {name: self.settings[name] for name in ("temperature", "top_p")}
        if self.abilities.penalties:
            body["frequency_penalty"] = self.settings["frequency_penalty"]
        return {**body, **self.form.logprobs} if self.label_source == "logprobs" else body


@AUGMENTERS.register("gpt3mix")
def build_gpt3mix(settings: Mapping[str, Any], material: Material) -> Augmenter:
    """Make the augmenter from its settings.

    Args:
        settings: Its settings in the config.
        material: What the draw is made from.

    Raises:
        AugmentError: If a label word cannot stand in a prompt, two labels share one, or the endpoint lacks what the
            source of soft labels needs.
    """
    task, abilities = material.task, material.abilities or Abilities()
    check_words(task, chat=abilities.chat)
    label_source = name_source(settings)
    problem = _lacking(label_source, abilities, len(task.labels))
    if problem is not None:
        raise AugmentError(f"label_source: {label_source} {problem}")
    form = ChatForm(task, abilities) if abilities.chat else CompletionsForm(task, abilities)
    sampler = Sampler(material, settings["examples"], settings.get("sampling", "uniform"))
    sampler.check()
    return Gpt3Mix(material, abilities, form, settings, label_source, sampler)


def name_source(settings: Mapping[str, Any]) -> str:
    """Return where the labels of an augmenter come from: its `label_source`, or what its `labels` stand for."""
    return settings.get("label_source") or {"soft": "logprobs", "hard": "hard"}[settings.get("labels", "hard")]


def _lacking(label_source: str, abilities: Abilities, count: int) -> str | None:
    """Return what a source of soft labels lacks, and what to set instead; None if nothing."""
    other = "classify" if abilities.logprobs else "vote"
    if label_source in {"logprobs", "classify"} and not abilities.logprobs:
        return "needs log-probabilities, and the endpoint tells none; set label_source to vote, decisions or hard"
    if label_source == "scoring" and (abilities.chat or not abilities.echo):
        return f"needs the log-probabilities of prompts, and the endpoint tells none; set label_source: {other}"
    if label_source == "decisions" and not 2 <= count <= MOST_DECIDED:
        return f"takes 2 to {MOST_DECIDED} labels, the dataset has {count}; set label_source: {other}"
    told = min(MOST_LOGPROBS, abilities.logprobs)
    if abilities.chat and label_source == "classify" and count > told:
        return (
            f"takes at most {told} labels, as many as likely tokens are told, the dataset has {count}; set labels: hard"
        )
    if abilities.chat and label_source == "vote" and count > MOST_LETTERS:
        return f"takes at most {MOST_LETTERS} labels, a letter each, the dataset has {count}; set labels: hard"
    return None


def _explain(parsed: Parsed, choice: Choice) -> str | None:
    if choice.finish_reason == "refusal" or parsed.reason in {"no label", "no item"}:
        return tell_end(choice) or parsed.reason
    return parsed.reason
