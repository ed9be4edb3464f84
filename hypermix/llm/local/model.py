"""A causal language model of transformers that answers as a completions endpoint does."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from hypermix.errors import LlmError, ServerError
from hypermix.hashing import canonical_json
from hypermix.llm.local.body import Body, BodyError, read_body
from hypermix.llm.local.generate import Draw, Generator, Step
from hypermix.llm.local.tokens import Tokens
from hypermix.seeding import child_seed

Dtype = Literal["float32", "bfloat16", "float16"]

_DAMAGED = (OSError, ValueError, SafetensorError, RuntimeError, LookupError, TypeError, AttributeError, ImportError)
"""What transformers raises over files that are no model."""


@dataclass(frozen=True)
class Prepared:
    """A question that can be computed: its settings and the tokens of its prompt."""

    body: Body
    tokens: Sequence[int]


class LocalModel:
    """A loaded model. Equal bodies in equal batches give equal answers.

    Attributes:
        context: Tokens of the longest prompt with its answer.
    """

    def __init__(
        self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, context: int, batch_size: int
    ) -> None:
        self._generator = Generator(network)
        self._tokens = Tokens(tokenizer)
        longest = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        self.context = min(context, longest or context)
        self._batch_size = batch_size
        self._ends = _ends(network, tokenizer)
        # Not in the request key, so that answers of a GPU are replayed on any machine; it stands in the answer.
        self._fingerprint = (
            f"transformers {transformers.__version__}, torch {torch.__version__}, {self._generator.device.type}, "
            f"{str(network.dtype).removeprefix('torch.')}"
        )

    def tokenize(self, text: str) -> list[bytes]:
        """Return the bytes of each token of a text, without special tokens."""
        return self._tokens.split(text)

    def prepare(self, body: Mapping[str, Any]) -> Prepared:
        """Check a question before anything is computed.

        Args:
            body: The body of a completions request.

        Raises:
            BodyError: If the model cannot take it.
        """
        read = read_body(body)
        tokens = self._tokens.encode(read.prompt)
        if not tokens:
            raise BodyError("the prompt is empty, and the model has no token to begin with", "prompt", fatal=False)
        room = self.context - len(tokens)
        if room < min(read.max_tokens, 1):
            raise BodyError(
                f"a prompt has {len(tokens)} tokens, and the context of {self.context} leaves no room for an answer; "
                "raise the llm's context up to what the model takes, or lower the augmenter's examples",
                "prompt",
                fatal=False,
            )
        return Prepared(read, tokens)

    def answer(self, bodies: Sequence[Mapping[str, Any]]) -> list[str]:
        """Answer completions bodies.

        Args:
            bodies: The questions; as many as one likes.

        Returns:
            For each the JSON text of an answer in OpenAI's form, with log-probabilities in the form of its chat API:
            tokens with their bytes. An answer ends where the context does.

        Raises:
            BodyError: If the model cannot take one of them.
            LlmError: If the memory is too small, or the model gives no numbers.
        """
        return self.compute([self.prepare(body) for body in bodies])

    def compute(self, questions: Sequence[Prepared]) -> list[str]:
        """Answer questions that were prepared; see `answer`.

        Raises:
            LlmError: If the memory is too small, or the model gives no numbers.
        """
        drafts = [
            _Draft(number, question.body, index, self._tokens, self._ends, self._room(question))
            for number, question in enumerate(questions)
            for index in range(question.body.n)
        ]
        echoes: dict[int, list[Step]] = {}
        for start in range(0, len(drafts), self._batch_size):
            self._run(questions, drafts[start : start + self._batch_size], echoes)
        return [
            self._word(question, echoes[number], [draft for draft in drafts if draft.question == number])
            for number, question in enumerate(questions)
        ]

    def _room(self, question: Prepared) -> int:
        return min(question.body.max_tokens, self.context - len(question.tokens))

    def _run(self, questions: Sequence[Prepared], drafts: Sequence[_Draft], echoes: dict[int, list[Step]]) -> None:
        """Compute one batch; choices of one question share its prompt."""
        numbers = sorted({draft.question for draft in drafts})
        for draft in drafts:
            draft.prompt = numbers.index(draft.question)
        asked = [questions[number] for number in numbers]
        try:
            told = self._generator.run(
                [question.tokens for question in asked],
                [question.body.logprobs if question.body.echo else None for question in asked],
                drafts,
            )
        except (RuntimeError, MemoryError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise LlmError(
                f"the model could not compute {len(drafts)} answers at once: {reason}; if the memory is too small, "
                "lower the llm's batch_size or context, or set dtype: bfloat16"
            ) from error
        echoes.update(zip(numbers, told, strict=True))

    def _word(self, question: Prepared, echo: Sequence[Step], drafts: Sequence[_Draft]) -> str:
        body = question.body
        before = self._prompt_entries(body, echo) if echo else []
        choices = [
            {
                "index": draft.index,
                "text": (body.prompt if body.echo else "") + draft.text,
                "finish_reason": draft.finish_reason,
                "logprobs": None if body.logprobs is None else {"content": before + draft.entries()},
            }
            for draft in drafts
        ]
        asked, answered = len(question.tokens), sum(len(draft.steps) for draft in drafts)
        return canonical_json(
            {
                "object": "text_completion",
                "model": body.model,
                "system_fingerprint": self._fingerprint,
                "choices": choices,
                "usage": {
                    "prompt_tokens": asked,
                    "completion_tokens": answered,
                    "total_tokens": asked + answered,
                },
            }
        )

    def _prompt_entries(self, body: Body, echo: Sequence[Step]) -> list[dict[str, Any]]:
        entries = [_entry(self._tokens, step, body.logprobs or 0) for step in echo]
        # Some tokenizers put a space before a text, which is not part of it.
        spelled = [number for entry in entries for number in entry["bytes"]]
        if bytes(spelled) == b" " + body.prompt.encode():
            first = next(entry for entry in entries if entry["bytes"])
            first["bytes"] = first["bytes"][1:]
        return entries


@dataclass
class _Draft:
    """One choice under way: takes tokens until it is at an end."""

    question: int
    body: Body
    index: int
    tokens: Tokens
    ends: frozenset[int]
    room: int
    prompt: int = 0
    steps: list[Step] = field(default_factory=list)
    data: bytes = b""
    finish_reason: str = "length"
    cut: int | None = None

    def __post_init__(self) -> None:
        body = self.body
        seed = child_seed(body.seed, ("choice", self.index))
        self.draw = Draw(seed, body.temperature, body.top_p, body.frequency_penalty, body.logprobs or 0)
        self.unfinished = self.room > 0
        self._stops = [stop.encode("utf-8") for stop in body.stop]

    def add(self, step: Step) -> None:
        """Take a token; the end of a text and a stop sequence end the choice."""
        self.steps.append(step)
        if step.token in self.ends:
            self._end(len(self.data))
            return
        seen = len(self.data)
        self.data += self.tokens.bytes_of(step.token)
        # A stop sequence may have begun in the tokens before.
        found = [self.data.find(stop, max(0, seen - len(stop) + 1)) for stop in self._stops]
        if any(at >= 0 for at in found):
            self._end(min(at for at in found if at >= 0))
        self.unfinished = self.unfinished and len(self.steps) < self.room

    def _end(self, cut: int) -> None:
        self.unfinished, self.finish_reason, self.cut = False, "stop", cut

    @property
    def text(self) -> str:
        """The text; a character that the last token left unfinished is no part of it."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(self.data[: self.cut])

    def entries(self) -> list[dict[str, Any]]:
        """The tokens of the text; one that reaches into a stop sequence is whole."""
        found, at = [], 0
        for step in self.steps:
            entry = _entry(self.tokens, step, self.draw.top)
            if step.token in self.ends or (self.cut is not None and at >= self.cut):
                break
            found.append(entry)
            at += len(entry["bytes"])
        return found


def _entry(tokens: Tokens, step: Step, top: int) -> dict[str, Any]:
    return {
        **_named(tokens, step.token, step.logprob),
        "top_logprobs": [_named(tokens, number, logprob) for number, logprob in step.top[:top]],
    }


def _named(tokens: Tokens, number: int, logprob: float | None) -> dict[str, Any]:
    return {"token": tokens.name_of(number), "bytes": [*tokens.bytes_of(number)], "logprob": logprob}


def _ends(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the tokens that end a text: a model may have several."""
    found: list[int] = []
    for told in (getattr(network.generation_config, "eos_token_id", None), tokenizer.eos_token_id):
        if told is not None:
            found += [told] if isinstance(told, int) else told
    return frozenset(found)


def load_local(folder: Path, *, dtype: Dtype, context: int, batch_size: int) -> LocalModel:
    """Load a model, on the GPU if there is one. No code of the model is run, and nothing is downloaded.

    Args:
        folder: The model's folder, with weights as safetensors.
        dtype: The numbers of the computation.
        context: Tokens of the longest prompt with its answer; the model's own limit holds beside it.
        batch_size: Answers that are computed at once.

    Raises:
        ServerError: If it cannot be loaded.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
        network, told = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True, **safe
        )
        missing = sorted(told["missing_keys"])
        if missing:
            raise ValueError(f"the weights lack {len(missing)} tensors, such as {missing[0]}")
        network = network.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")
        return LocalModel(network, tokenizer, context=context, batch_size=batch_size)
    except LlmError as error:
        raise ServerError(f"{folder}: {error}") from error
    except _DAMAGED as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
        raise ServerError(
            f"the language model {str(folder)!r} cannot be loaded: {reason}; name a folder or a hub id of a causal "
            "language model with safetensors weights and a tokenizer"
        ) from error
