"""The settings of language models: where they are, what they cost, and how fast they may be asked."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from hypermix.config.setting import Settings, package_check, setting
from hypermix.packages import LANGUAGE_MODELS

OPENAI = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
KEY_FILE = "openai-key"
"""Where the key of OpenAI's own endpoint is looked for when the config names no place."""

_RESERVED = ("model", "prompt", "messages", "stream", "n", "seed", "stop", "logprobs", "top_logprobs", "echo")
"""What HyperMix itself says in a request."""


def _check_url(url: str) -> str:
    if not url.startswith(("http://", "https://")) or any(sign in url for sign in "@?#{} "):
        raise ValueError("a URL such as http://127.0.0.1:8000/v1, without a user, a key or a parameter in it")
    return url.rstrip("/")


Url = Annotated[str, AfterValidator(_check_url)]


class KeyPlace(Settings):
    """Where the key of an endpoint is; the key itself never stands in a config."""

    env: str | None = setting(
        None, "runtime", "The environment variable that holds it.", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"
    )
    file: str | None = setting(None, "runtime", "The file whose first line it is.", min_length=1)

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("one of env and file")
        return self


class Limits(Settings):
    """How an endpoint may be asked. The jobs of one machine share these limits."""

    requests_per_min: float | None = setting(None, "runtime", "Most requests a minute; null for no such limit.", gt=0)
    tokens_per_min: float | None = setting(
        None, "runtime", "Most tokens a minute, of prompts and answers; null for no such limit.", gt=0
    )
    concurrency: int = setting(8, "runtime", "Most requests under way at once.", ge=1, le=1024)
    deadline: float = setting(600.0, "runtime", "How long one request may take.", unit="seconds", gt=0)
    tries: int = setting(6, "runtime", "How often a request is sent until it is answered.", ge=1, le=100)
    longest_wait: float = setting(
        600.0,
        "runtime",
        "The longest pause that an endpoint may ask for; the job ends cleanly where it asks for more.",
        unit="seconds",
        ge=0,
    )


class Price(Settings):
    """What an endpoint charges, as you read it on its page; for `batch` the price of a batch."""

    input: float = setting(..., "runtime", "A million tokens of prompts.", unit="US dollars", ge=0)
    output: float = setting(..., "runtime", "A million tokens of answers.", unit="US dollars", ge=0)
    as_of: date = setting(..., "runtime", "The day on which you read it, such as 2026-11-22.", strict=False)
    source: str | None = setting(None, "runtime", "Where you read it.")


class HostedLlm(Settings):
    """What every endpoint behind a URL has."""

    model: str = setting(..., "augment", "The model's name at the endpoint.", min_length=1)
    base_url: Url = setting(OPENAI, "augment", "The URL before `/chat/completions` or `/completions`.")
    key: KeyPlace | None = setting(
        None,
        "runtime",
        "Where its key is: `{env: NAME}` or `{file: PATH}`. null: for OpenAI's own URL the variable OPENAI_API_KEY or the "
        "file `openai-key` of the working folder, for others no key.",
    )
    extra: dict[str, JsonValue] = setting(
        {},
        "augment",
        "More settings for the body of a request, as the endpoint spells them. No secrets: they are stored.",
    )
    limits: Limits = setting(Limits(), "runtime", "How it may be asked; see below.")
    price: Price | None = setting(None, "runtime", "What it charges; see below. null: tokens are told, and no dollars.")

    @field_validator("extra")
    @classmethod
    def _check_extra(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        own = sorted(set(extra) & set(_RESERVED))
        if own:
            raise ValueError(f"settings that HyperMix does not set itself; take {', '.join(own)} away")
        return extra


class CompletionsLlm(HostedLlm):
    """An OpenAI-compatible completions endpoint: it goes on with a prompt, as in the paper. vLLM, SGLang, llama-server."""

    api: Literal["completions"] = setting(..., "augment", "The kind of endpoint.")
    base_url: Url = setting(..., "augment", "The URL before `/completions`, such as http://127.0.0.1:8000/v1.")


class ChatLlm(HostedLlm):
    """An OpenAI-compatible chat endpoint: OpenAI, vLLM, SGLang, llama-server, Ollama, Together, CLOVA Studio and others."""

    api: Literal["chat"] = setting(..., "augment", "The kind of endpoint.")
    reasoning_effort: str | None = setting(
        None,
        "augment",
        "How long a reasoning model thinks. OpenAI's tell log-probabilities at `none` alone. null: nothing is said of it.",
    )


class BatchLlm(ChatLlm):
    """OpenAI's Batch API: the same questions as with `chat`, answered within a day, at half the price."""

    api: Literal["batch"] = setting(..., "augment", "The kind of endpoint.")
    poll: float = setting(60.0, "runtime", "Pause between two looks at a batch.", unit="seconds", gt=0)


class TransformersLlm(Settings):
    """A causal language model that runs here by transformers, on a GPU if there is one: exact log-probabilities."""

    api: Literal["transformers"] = setting(..., "augment", "The kind of endpoint.")
    model: str = setting(
        ..., "augment", "A folder, or a model id of the hub. Weights are read from safetensors only.", min_length=1
    )
    revision: str | None = setting(None, "augment", "A commit or branch of the hub; null for its main branch.")
    batch_size: int = setting(8, "augment", "Prompts that are computed at once.", unit="rows", ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = setting("float32", "augment", "The numbers of the computation.")
    context: int = setting(4096, "augment", "The longest prompt with its answer.", unit="tokens", ge=128)


class EmbeddedLlm(Settings):
    """A language model that runs here, in llama.cpp's server: no key, no network, no price."""

    api: Literal["embedded"] = setting(..., "augment", "The kind of endpoint.")
    model: Annotated[str, package_check(LANGUAGE_MODELS)] = setting(
        "package:gemma3-270m",
        "augment",
        "A GGUF file, or `package:gemma3-270m`, which a package carries.",
        min_length=1,
    )
    context: int = setting(4096, "augment", "The longest prompt with its answer.", unit="tokens", ge=128)
    slots: int = setting(
        1, "augment", "Prompts that are computed at once. With more than one, equal runs may give other texts.", ge=1
    )


AnyLlm = Annotated[EmbeddedLlm | CompletionsLlm | ChatLlm | BatchLlm | TransformersLlm, Field(discriminator="api")]


class Budget(Settings):
    """Caps on what hosted language models may cost, over all runs of an experiment; null for none."""

    usd: float | None = setting(
        None, "runtime", "Dollars; each hosted model that is used needs a price.", unit="US dollars", ge=0
    )
    requests: int | None = setting(None, "runtime", "Requests that are sent.", ge=0)
    tokens: int | None = setting(None, "runtime", "Tokens of prompts and answers.", ge=0)
