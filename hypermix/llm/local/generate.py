"""The computation of a causal language model: prompts at once, token by token, with exact log-probabilities.

A draw adds noise to the scores of all tokens and takes the largest (Gumbel's trick). The noise of a token depends on
the seed, the choice, the step and the token alone, so that rows change nothing of each other, and a last bit that
differs, as between a GPU and a CPU or between batches, seldom changes a text. The numbers are those of SplitMix64
(Steele, Lea and Flood 2014), which is integer arithmetic and so the same on every device; torch's own generators are
not, and those of the CPU would have to send a number for each token of the vocabulary to the GPU at each step.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from hypermix.errors import LlmError
from hypermix.seeding import child_seed

LOWEST = -9999.0
"""What is told for a token of no probability, since JSON has no infinity; OpenAI tells the same number."""

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_CHUNK = 1 << 26
"""Scores of a prompt that are in memory at once: 256 MB."""

_NUCLEUS = 1024
"""Likely tokens among which the nucleus is looked for first; sorting the whole vocabulary is slow."""


@dataclass(frozen=True)
class Step:
    """One token, by its id, with the log-probabilities of the likeliest ones; None where nothing comes before it."""

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Draw:
    """How the tokens of one choice are drawn.

    Attributes:
        seed: What its noise depends on.
        temperature: 0 takes the likeliest token.
        top_p: The share of the probability that is drawn from.
        penalty: What a token loses for each time that it was generated.
        top: How many likely tokens are told.
    """

    seed: int
    temperature: float
    top_p: float
    penalty: float
    top: int


class Draft(Protocol):
    """A choice under way.

    Attributes:
        prompt: Which prompt it goes on with.
        draw: How it is drawn.
    """

    prompt: int
    draw: Draw

    @property
    def unfinished(self) -> bool:
        """Whether it wants another token."""

    def add(self, step: Step) -> None:
        """Take the next token."""


class Generator:
    """Computes with one model.

    Attributes:
        device: Where it computes.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Look what the model's forward pass takes.

        Raises:
            LlmError: If it keeps no keys and values, so that each token would compute the whole text again.
        """
        self._model = model
        self.device: torch.device = model.device
        taken = inspect.signature(model.forward).parameters
        if "past_key_values" not in taken or "attention_mask" not in taken:
            raise LlmError(f"{type(model).__name__} keeps no keys and values; take a model with attention")
        self._more = {name for name in ("position_ids", "logits_to_keep") if name in taken}

    @torch.inference_mode()
    def run(
        self, prompts: Sequence[Sequence[int]], echo: Sequence[int | None], drafts: Sequence[Draft]
    ) -> list[list[Step]]:
        """Generate all choices of a batch.

        Args:
            prompts: The tokens of each prompt, at least one each.
            echo: For each prompt how many likely tokens are told at its positions; None for no log-probabilities.
            drafts: The choices; those that are unfinished get tokens until they are not.

        Returns:
            The tokens of each prompt with their log-probabilities; none where they are not wanted.

        Raises:
            LlmError: If the model gives no numbers.
        """
        longest = max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=self.device)
        mask = torch.tensor(
            [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=self.device
        )
        cache = DynamicCache(config=self._model.config)
        scores, told = self._read(ids, mask, cache, echo)
        active = [draft for draft in drafts if draft.unfinished]
        rows = [draft.prompt for draft in active]
        sampler = _Sampler([draft.draw for draft in active], scores.shape[-1], self.device)
        while active:
            chosen_from = torch.tensor(rows, device=self.device)
            if rows != list(range(len(scores))):
                scores, mask = scores[chosen_from], mask[chosen_from]
                cache.batch_select_indices(chosen_from)
            tokens = self._extend(active, sampler, scores)
            rows = [row for row, draft in enumerate(active) if draft.unfinished]
            if not rows:
                break
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            if len(rows) < len(active):
                kept = torch.tensor(rows, device=self.device)
                tokens, mask = tokens[kept], mask[kept]
                cache.batch_select_indices(kept)
                sampler.keep(rows)
                active = [active[row] for row in rows]
            rows = list(range(len(active)))
            scores = self._forward(tokens[:, None], mask, cache)[:, -1]
        return told

    def _extend(self, active: Sequence[Draft], sampler: _Sampler, scores: Tensor) -> Tensor:
        """Give each choice its next token."""
        logprobs = scores.float().log_softmax(-1)
        tokens = sampler.draw(logprobs)
        steps = _steps(tokens, logprobs, max(draft.draw.top for draft in active))
        for draft, step in zip(active, steps, strict=True):
            draft.add(step)
        return tokens

    def _read(
        self, ids: Tensor, mask: Tensor, cache: DynamicCache, echo: Sequence[int | None]
    ) -> tuple[Tensor, list[list[Step]]]:
        """Compute the prompts; return the scores of what follows them, and their tokens."""
        told: list[list[Step]] = [[] for _ in echo]
        wanted = [row for row, top in enumerate(echo) if top is not None]
        if not wanted:
            return self._forward(ids, mask, cache)[:, -1], told
        width = ids.shape[1]
        starts = (width - mask.sum(1)).tolist()
        chunk = max(1, _CHUNK // (len(ids) * int(self._model.config.get_text_config().vocab_size)))
        scores = ids
        for row in wanted:
            told[row].append(Step(int(ids[row, starts[row]]), None))
        for begin in range(0, width, chunk):
            end = min(begin + chunk, width)
            scores = self._forward(ids[:, begin:end], mask[:, :end], cache, whole=True)
            for row in wanted:
                first, last = max(begin, starts[row]), min(end, width - 1)
                if first < last:
                    logprobs = scores[row, first - begin : last - begin].float().log_softmax(-1)
                    told[row] += _steps(ids[row, first + 1 : last + 1], logprobs, echo[row] or 0)
        return scores[:, -1], told

    def _forward(self, ids: Tensor, mask: Tensor, cache: DynamicCache, *, whole: bool = False) -> Tensor:
        more: dict[str, object] = {}
        if "position_ids" in self._more:
            more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if "logits_to_keep" in self._more and not whole:
            more["logits_to_keep"] = 1
        found: Tensor = self._model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more
        ).logits
        return found


class _Sampler:
    """Draws the next token of each choice."""

    def __init__(self, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> None:
        self._step = 0
        self._gammas = (torch.arange(vocabulary, device=device) + 1) * _signed(_GAMMA)
        penal = any(draw.penalty for draw in draws)
        self._counts = torch.zeros(len(draws), vocabulary, device=device) if penal else None
        self._set(draws)

    def _set(self, draws: Sequence[Draw]) -> None:
        self._draws = draws
        # Asked of Python and not of a tensor, since a GPU would be waited for.
        self._warm = any(draw.temperature for draw in draws)
        self._cut = self._warm and any(draw.top_p < 1 for draw in draws)
        settings = [[draw.temperature or 1.0, float(draw.temperature > 0), draw.top_p, draw.penalty] for draw in draws]
        columns = torch.tensor(settings, dtype=torch.float64, device=self._gammas.device).reshape(-1, 4, 1)
        self._temperature, self._noise, self._top_p, self._penalty = columns.unbind(1)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these choices alone."""
        self._set([self._draws[row] for row in rows])
        self._counts = None if self._counts is None else self._counts[list(rows)]

    def draw(self, logprobs: Tensor) -> Tensor:
        """Return a token for each choice."""
        scores = logprobs.double()
        if self._counts is not None:
            scores = scores - self._penalty * self._counts
        if self._warm:
            scores = scores / self._temperature
            if self._cut:
                scores = _cut_tail(scores, self._top_p)
            seeds = [child_seed(draw.seed, ("transformers", self._step)) for draw in self._draws]
            scores = scores + self._noise * _gumbel(seeds, self._gammas)
        self._step += 1
        tokens = scores.argmax(-1)
        if self._counts is not None:
            self._counts.scatter_add_(1, tokens[:, None], torch.ones_like(tokens[:, None], dtype=torch.float32))
        return tokens


def _cut_tail(scores: Tensor, top_p: Tensor) -> Tensor:
    """Leave each row its likeliest tokens that have `top_p` of the probability together."""
    probabilities = scores.softmax(-1)
    likely = probabilities.topk(min(_NUCLEUS, scores.shape[-1])).values
    if bool((likely.sum(-1, keepdim=True) < top_p)[top_p < 1].any()):
        likely = probabilities.sort(-1, descending=True).values
    inside = (likely.cumsum(-1) - likely < top_p).sum(-1, keepdim=True)
    smallest = likely.gather(-1, inside - 1)
    return scores.masked_fill((probabilities < smallest) & (top_p < 1), -torch.inf)


def _gumbel(seeds: Sequence[int], gammas: Tensor) -> Tensor:
    """Return noise of Gumbel's distribution, a row a seed: the numbers of SplitMix64 in order."""
    uniform = (_shift(_splitmix(seeds, gammas), 11).double() + 0.5) * 2.0**-53
    return -torch.log(-torch.log(uniform))


def _splitmix(seeds: Sequence[int], gammas: Tensor) -> Tensor:
    """Return the first numbers of SplitMix64 as signed integers; `gammas` holds the multiples of its constant."""
    numbers = torch.tensor([_signed(seed) for seed in seeds], device=gammas.device)[:, None] + gammas
    for by, factor in ((30, _FIRST), (27, _SECOND)):
        numbers ^= _shift(numbers, by)
        numbers *= _signed(factor)
    return numbers ^ _shift(numbers, 31)


def _shift(numbers: Tensor, by: int) -> Tensor:
    """Shift to the right and fill with zeros, as if the integers had no sign."""
    return (numbers >> by).bitwise_and_((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _steps(tokens: Tensor, logprobs: Tensor, top: int) -> list[Step]:
    """Read what is told of tokens, a row of log-probabilities each.

    Raises:
        LlmError: If they are no numbers.
    """
    chosen = logprobs.gather(-1, tokens[:, None])[:, 0].tolist()
    if any(value != value for value in chosen):  # noqa: PLR0124 - only NaN differs from itself
        raise LlmError(
            "the model's scores are no numbers (NaN); set the llm's dtype to float32 or bfloat16, or take sound weights"
        )
    likely = logprobs.topk(min(top, logprobs.shape[-1]))
    found = zip(tokens.tolist(), chosen, likely.indices.tolist(), likely.values.tolist(), strict=True)
    return [
        Step(token, max(value, LOWEST), tuple((number, max(other, LOWEST)) for number, other in zip(*top, strict=True)))
        for token, value, *top in found
    ]
