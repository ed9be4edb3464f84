"""The settings of language models: where they are, what they cost, and how fast they may be asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema, field_validator, model_validator

from hypermix.config.setting import Settings, package_check, setting
from hypermix.packages import LANGUAGE_MODELS

OPENAI = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
KEY_FILE = "openai-key"
"""Where the key of OpenAI's own endpoint is looked for when the config names no place."""

HOSTED_APIS = ("completions", "chat", "batch")
"""The kinds of endpoint behind a URL, which may cost money."""

_OF_AUGMENTER = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty")
_OF_HYPERMIX = (
    *("model", "prompt", "messages", "input", "questions", "stream", "n", "best_of", "seed", "stop", "logprobs"),
    *("top_logprobs", "echo", "response_format", "reasoning_effort"),
)
"""What HyperMix itself says in a request, or must know to say what it can cost."""

_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|authorization", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\s*(sk-|bearer\s)", re.IGNORECASE)
_NO_SECRETS = ("prompt_cache_key",)
_VARIABLE = r"^[A-Z_][A-Z0-9_]*$"

_LOCAL_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
)
_LOCAL_NAME = re.compile(r"(?!0x)(?=[0-9-]*[a-z])[a-z0-9-]+|[a-z0-9.-]+\.(local|localhost|internal)")
"""A host of one label, but for an address that is written as one number, or a host of a private domain."""

_ENDS = ("/chat/completions", "/completions", "/decisions")


def _check_url(url: str) -> str:
    # Whatever is wrong with it, it is not shown: it may hold a key.
    if not _is_plain_url(url):
        raise ValueError("a URL such as http://127.0.0.1:8000/v1, without a user, a key or a parameter in it")
    plain = url.rstrip("/")
    end = next((end for end in _ENDS if plain.endswith(end)), None)
    if end is not None:
        raise ValueError(f"the URL before {end}; leave {end} off, HyperMix adds it")
    return plain


def _is_plain_url(url: str) -> bool:
    if not url.startswith(("http://", "https://")) or re.search(r"[@?#{}\\\s\x00-\x20\x7f]", url):
        return False
    try:
        parts = urlsplit(url)
        # Readers of URLs differ on what stands behind an address in brackets.
        plain = "[" not in parts.netloc or re.fullmatch(r"\[[0-9a-fA-F:.]+\](:[0-9]+)?", parts.netloc)
        return bool(parts.hostname and plain) and parts.port != 0
    except ValueError:  # a broken address in brackets, or no port
        return False


def _is_near(url: str) -> bool:
    """Tell whether a URL leads to this machine or a private network."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _LOCAL_NAME.fullmatch(host) is not None
    return any(address in network for network in _LOCAL_NETWORKS)


def _check_variable(name: str) -> str:
    if not re.fullmatch(_VARIABLE, name):
        raise ValueError("the name of an environment variable in capitals; the key itself never stands in a config")
    return name


def _check_place(value: object) -> object:
    if value is not None and not isinstance(value, Mapping | Settings):
        raise ValueError("{env: NAME} or {file: PATH}; the key itself never stands in a config")
    return value


def _as_day(value: object) -> object:
    day = value
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError("a day such as 2026-11-22")
    return day


Url = Annotated[str, AfterValidator(_check_url)]
Variable = Annotated[
    str, AfterValidator(_check_variable), WithJsonSchema({"type": "string", "pattern": _VARIABLE, "title": "Env"})
]
Day = Annotated[date, BeforeValidator(_as_day)]


class KeyPlace(Settings):
    """Where the key of an endpoint is, by `env` or by `file`; the key itself never stands in a config.

    Over `http://` it goes to this machine and private networks alone.
    """

    env: Variable | None = setting(None, "runtime", "The environment variable that holds it, in capitals.")
    file: str | None = setting(
        None, "runtime", "The file whose first line it is, from the working folder on.", min_length=1
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("one of env and file")
        return self


class Limits(Settings):
    """How an endpoint may be asked. All jobs on one machine share these limits."""

    requests_per_min: float | None = setting(None, "runtime", "Most requests a minute; null for no such limit.", gt=0)
    tokens_per_min: float | None = setting(
        None, "runtime", "Most tokens a minute, of prompts and answers together; null for no such limit.", gt=0
    )
    concurrency: int = setting(8, "runtime", "Most requests under way at once.", ge=1, le=1024)
    deadline: float = setting(600.0, "runtime", "How long one request may take.", unit="seconds", gt=0)
    tries: int = setting(6, "runtime", "How often a request is sent at most until it is answered.", ge=1, le=100)
    longest_wait: float = setting(
        600.0,
        "runtime",
        "The longest pause that an endpoint may ask for; where it asks for more, the job ends and can be run again.",
        unit="seconds",
        ge=0,
    )


class Price(Settings):
    """What an endpoint charges, as you read it on its page; for `batch` the price of a batch."""

    input: float = setting(..., "runtime", "What a million tokens of prompts cost.", unit="US dollars", ge=0)
    output: float = setting(..., "runtime", "What a million tokens of answers cost.", unit="US dollars", ge=0)
    as_of: Day = setting(..., "runtime", "The day on which you read it, such as 2026-11-22.")
    source: str | None = setting(None, "runtime", "Where you read it, such as the address of the page.")


class HostedLlm(Settings):
    """What every endpoint behind a URL has."""

    model: str = setting(..., "augment", "The model's name at the endpoint.", min_length=1)
    base_url: Url = setting(OPENAI, "augment", "The URL before `/chat/completions`, such as http://127.0.0.1:8000/v1.")
    key: Annotated[KeyPlace | None, BeforeValidator(_check_place)] = setting(
        None,
        "runtime",
        "Where its key is: `{env: NAME}` or `{file: PATH}`. null: for OpenAI's own URL the variable OPENAI_API_KEY or "
        "the file `openai-key` of the working folder, for others no key.",
    )
    extra: dict[str, JsonValue] = setting(
        {},
        "augment",
        "More settings for the body of a request, as the endpoint spells them. No secrets: they are stored.",
    )
    limits: Limits = setting(Limits(), "runtime", "How it may be asked, see below.")
    price: Price | None = setting(
        None, "runtime", "What it charges, see below. null: tokens are told, and no dollars are invented."
    )

    @field_validator("extra")
    @classmethod
    def _check_extra(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for names, where in ((_OF_AUGMENTER, "set in the augmenter"), (_OF_HYPERMIX, "said by HyperMix itself")):
            taken = [name for name in names if name in extra]
            if taken:
                raise ValueError(f"settings that stand nowhere else; take {', '.join(taken)} away, {where}")
        secret = next(_secrets(extra), None)
        if secret is not None:
            raise ValueError(
                f"settings without secrets, since they are stored; take {secret} away, and name the place of the "
                "endpoint's key under key"
            )
        return extra

    @model_validator(mode="after")
    def _check_clear_text(self) -> Self:
        # OpenAI's own host is sent a key also where none is named.
        keyed = self.key is not None or urlsplit(self.base_url).hostname == urlsplit(OPENAI).hostname
        if keyed and self.base_url.startswith("http://") and not _is_near(self.base_url):
            raise ValueError(
                "https:// in base_url where a key is sent; over http:// the key would travel in the clear, which is "
                "for this machine and private networks alone"
            )
        return self


def _secrets(extra: Mapping[str, JsonValue], before: str = "") -> Iterator[str]:
    """Name the settings that look like a secret: by their name if they hold text, or by their text."""
    for name, value in extra.items():
        texts = [part for part in _leaves(value) if isinstance(part, str)]
        named = name not in _NO_SECRETS and _SECRET_NAME.search(name) is not None and any(texts)
        if isinstance(value, Mapping) and not named:
            yield from _secrets(value, f"{before}{name}.")
        elif named or any(_SECRET_TEXT.match(text) for text in texts):
            yield f"{before}{name}"


def _leaves(value: JsonValue | Mapping[str, JsonValue]) -> Iterator[JsonValue]:
    if isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(part)
    else:
        yield value


class ChatSettings(HostedLlm):
    """What every endpoint that is asked by messages has."""

    reasoning_effort: str | None = setting(
        None,
        "augment",
        "How long a reasoning model thinks, in the endpoint's words. Those of OpenAI tell log-probabilities at `none` "
        "alone. null: nothing is said of it.",
        min_length=1,
    )


class CompletionsLlm(HostedLlm):
    """An endpoint that goes on with a prompt, as in the paper, by OpenAI's completions: vLLM, SGLang, llama-server."""

    api: Literal["completions"] = setting(..., "augment", "The kind of endpoint.")
    base_url: Url = setting(..., "augment", "The URL before `/completions`, such as http://127.0.0.1:8000/v1.")


class ChatLlm(ChatSettings):
    """An endpoint with OpenAI's chat: OpenAI itself, vLLM, SGLang, llama-server, Ollama, Together, CLOVA Studio, ..."""

    api: Literal["chat"] = setting(..., "augment", "The kind of endpoint.")


class BatchLlm(ChatSettings):
    """OpenAI's Batch API: the same questions as with `chat`, answered within a day, at half the price."""

    api: Literal["batch"] = setting(..., "augment", "The kind of endpoint.")
    poll: float = setting(60.0, "runtime", "Pause between two looks at a batch.", unit="seconds", gt=0)


class TransformersLlm(Settings):
    """A causal language model that runs here by transformers, on a GPU if there is one: exact log-probabilities."""

    api: Literal["transformers"] = setting(..., "augment", "The kind of endpoint.")
    model: str = setting(
        ..., "augment", "A folder, or a model id of the hub. Weights are read from safetensors only.", min_length=1
    )
    revision: str | None = setting(
        None, "augment", "A commit, branch or tag of the hub; null for its main branch.", min_length=1
    )
    batch_size: int = setting(8, "augment", "Prompts that are computed at once.", unit="prompts", ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", "augment", "The kind of number that it computes with; those of 16 bits are for a GPU."
    )
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
        1,
        "augment",
        "Prompts that are computed at once. With more than one, equal runs may give other texts.",
        unit="prompts",
        ge=1,
    )


AnyLlm = Annotated[EmbeddedLlm | CompletionsLlm | ChatLlm | BatchLlm | TransformersLlm, Field(discriminator="api")]


class Budget(Settings):
    """Caps on what hosted language models may cost over all runs of an experiment; null for no cap.

    A job that would go over one ends cleanly: its answers are stored, and with a higher cap it goes on.
    """

    usd: float | None = setting(
        None,
        "runtime",
        "Most that may be spent; each hosted model that is used needs a price.",
        unit="US dollars",
        ge=0,
    )
    requests: int | None = setting(None, "runtime", "Most requests that may be sent.", ge=0)
    tokens: int | None = setting(None, "runtime", "Most tokens, of prompts and answers together.", ge=0)
