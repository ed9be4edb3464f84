"""How one setting is declared: type, default, bounds, unit, meaning and the stage it belongs to, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from hypermix.errors import accepted
from hypermix.packages import package_name

Stage = Literal[
    "prepare", "subsample", "augment", "quality", "train", "evaluate", "aggregate", "choose", "export", "runtime"
]
"""The stage that runs again when a setting changes; `runtime` settings change no result."""

NAME_PATTERN = r"^[A-Za-z0-9_-]+$"
"""What a name of a variant looks like: it becomes a part of a path."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class Settings(BaseModel):
    """Base of all parts of the config: unknown keys are mistakes, text is never taken for a number, numbers end."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def setting(default: Any, stage: Stage | None, doc: str, *, unit: str | None = None, **bounds: Any) -> Any:
    """Declare a setting.

    Args:
        default: Its value where the config says nothing; `...` if it must be given.
        stage: The stage it belongs to; None for a section, whose settings name theirs.
        doc: Its meaning, in one or two sentences.
        unit: The unit of a number.
        **bounds: Limits as pydantic spells them: `ge`, `gt`, `le`, `lt`, `min_length`, `pattern`.

    Returns:
        A pydantic field.
    """
    extra: dict[str, JsonValue] = {key: value for key, value in (("stage", stage), ("unit", unit)) if value is not None}
    if isinstance(default, (list, dict)):
        return Field(default_factory=lambda: type(default)(default), description=doc, json_schema_extra=extra, **bounds)
    return Field(default, description=doc, json_schema_extra=extra, **bounds)


def package_check(known: Mapping[str, str]) -> AfterValidator:
    """Return a check that a model named `package:` is one that a package carries."""

    def check(model: str) -> str:
        name = package_name(model)
        if name is not None and name not in known:
            raise ValueError(f"a model that a package carries; {accepted(name, known)}")
        return model

    return AfterValidator(check)
