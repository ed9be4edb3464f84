"""Augmenters that ask for texts, with the defaults of the config, and what a model may answer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypermix.augment import attributed, conditional, cotam, paraphrase, promptmix, template
from hypermix.augment.base import AUGMENTERS, Augmenter, Material, Slot
from hypermix.config.augmenter_llm import Attributed, Conditional, Cotam, Paraphrase, PromptMix, Template
from hypermix.records import CHAT, Abilities, Choice, Completion, Example, Request, SyntheticRow, Task, Token
from tests.unit.augment.playing import harvest, plan

MODULES = (attributed, conditional, cotam, paraphrase, promptmix, template)
"""Imported for what they register."""

TASK = Task("Movie Review", "sentiment", {"neg": "negative", "neu": "neutral", "pos": "positive"})
EXAMPLES = [Example(f"row {row}", f"film number {row}", ("neg", "neu", "pos")[row % 3]) for row in range(12)]
COMPLETIONS_FORM = Abilities()
CHAT_FORM = Abilities(chat=True)
FORMS = {"completions": COMPLETIONS_FORM, "chat": CHAT_FORM}
KINDS = {
    "attributed": Attributed,
    "conditional": Conditional,
    "cotam": Cotam,
    "paraphrase": Paraphrase,
    "promptmix": PromptMix,
    "template": Template,
}


def build(
    method: str,
    abilities: Abilities = COMPLETIONS_FORM,
    *,
    task: Task = TASK,
    rows: list[Example] = EXAMPLES,
    seed: int = 7,
    **changes: Any,
) -> Augmenter:
    settings = KINDS[method].model_validate({"method": method, "llm": "local", **changes}).model_dump()
    return AUGMENTERS.get(method)(settings, Material(rows, task, seed, abilities))


def said(request: Request) -> str:
    """All that a request says."""
    if request.path == CHAT:
        return "\n".join(message["content"] for message in request.body["messages"])
    return str(request.body["prompt"])


def answered(text: str, finish_reason: str = "stop", logprob: float | None = None, key: str = "key") -> Completion:
    tokens = () if logprob is None else (Token(text.encode(), logprob, ()),)
    return Completion(key, (Choice(text, finish_reason, tokens),))


def talk(augmenter: Augmenter, slot: Slot, reply: Callable[[Request], str]) -> tuple[SyntheticRow, list[Request]]:
    """Play a slot through with a model that replies to a request; return the row and what was asked."""
    answers: list[Completion] = []
    asked: list[Request] = []
    while requests := plan(augmenter, slot, answers):
        asked += requests
        answers += [answered(reply(request), key=f"answer {len(answers)}") for request in requests]
    return harvest(augmenter, slot, answers), asked
