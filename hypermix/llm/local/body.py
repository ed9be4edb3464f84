"""What may be asked of a model that runs here: the body of a completions request, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hypermix.errors import LlmError

_SHOWN = 60


def _check_text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no text") from None
    return text


Text = Annotated[str, AfterValidator(_check_text)]
Stop = Annotated[Text, Field(min_length=1)]


class BodyError(LlmError):
    """A question that the model cannot take.

    Attributes:
        param: The setting that is to blame.
        fatal: Whether all further questions would meet the same.
    """

    def __init__(self, message: str, param: str, *, fatal: bool) -> None:
        super().__init__(message)
        self.param = param
        self.fatal = fatal


class Body(BaseModel):
    """The settings of a completions request that are known here; any other is an error, and never ignored.

    Attributes:
        model: A name, which is repeated in the answer.
        prompt: The text to go on with.
        max_tokens: The longest answer; 0 with `echo` alone.
        temperature: 0 takes the likeliest token.
        top_p: The share of the probability that is drawn from.
        frequency_penalty: What a token loses for each time that it was generated before.
        stop: Texts that end an answer and are no part of it.
        seed: The draws depend on it and on the index of the choice.
        logprobs: How many likely tokens are told at each position; None for no log-probabilities.
        echo: Whether the prompt is told too.
        n: How many answers are drawn.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    model: str = ""
    prompt: Text
    max_tokens: int = Field(16, ge=0)
    temperature: float = Field(1.0, ge=0.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    frequency_penalty: float = Field(0.0, ge=-2.0, le=2.0)
    stop: list[Stop] = Field([], max_length=16)
    seed: int = 0
    logprobs: int | None = Field(None, ge=0)
    echo: bool = False
    n: int = Field(1, ge=1, le=1024)

    @model_validator(mode="after")
    def _check_length(self) -> Body:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens of 0 goes with echo alone")
        return self


def read_body(body: Mapping[str, Any]) -> Body:
    """Check a body; a setting that is null counts as not given, as in OpenAI's API.

    Args:
        body: The body of a completions request.

    Raises:
        BodyError: If a setting is unknown, or its value cannot be taken.
    """
    given = {str(name): value for name, value in body.items() if value is not None}
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    try:
        return Body.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "max_tokens"
    if first["type"] == "extra_forbidden":
        known = ", ".join(Body.model_fields)
        raise BodyError(
            f"a model of api: transformers does not know the setting {name[:_SHOWN]!r} of a request; it takes {known}",
            name,
            fatal=True,
        )
    shown = "it is missing" if first["type"] == "missing" else f"{body.get(name)!r:.{_SHOWN}}"
    raise BodyError(
        f"a model of api: transformers cannot take the setting {name!r} of a request ({shown}): {first['msg']}; "
        "correct it in the augmenter's settings",
        name,
        fatal=True,
    )
