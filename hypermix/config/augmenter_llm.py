"""The settings of the augmenters that ask a language model by a template."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, JsonValue, model_validator

from hypermix.config.augmenter import Making, Sifted
from hypermix.config.filter import Relabel
from hypermix.config.setting import Name, setting
from hypermix.plugins import check_plugin

Sampling = Literal["uniform", "closest", "furthest"]
_SAMPLING = (
    "How the shown rows are drawn, always without replacement. `uniform`: all alike. `closest`, `furthest`: one alike, "
    "the others by the softmax of the similarity of their sentence embeddings to it, or of its negative."
)
_EACH = "Texts that one request asks for."
_MOST_PARAPHRASES = 6  # of AugGPT


def _check_plugin(name: str) -> str:
    return check_plugin(name, "augmenter")


class Asking(Making):
    """What all augmenters have that ask for texts."""

    llm: Name = setting(..., "augment", "The name of the language model, a key of `llms`.")
    max_tokens: int = setting(
        100, "augment", "The longest text; an answer of several may be as many times as long.", unit="tokens", ge=1
    )
    temperature: float = setting(1.0, "augment", "Sampling temperature.", ge=0.0, le=2.0)
    top_p: float = setting(1.0, "augment", "Share of the probability that tokens are sampled from.", gt=0.0, le=1.0)
    frequency_penalty: float = setting(
        0.0, "augment", "Penalty on tokens that the answer already has.", ge=-2.0, le=2.0
    )


class Template(Asking):
    """Rows that your own prompt template asks for; see docs/augmenters.md."""

    method: Literal["template"] = setting(..., "augment", "The kind of augmenter.")
    template: str = setting(
        ...,
        "augment",
        "The file of the prompt, in Jinja. Its text decides what runs again, not its name.",
        min_length=1,
    )
    examples: int = setting(2, "augment", "Real rows in a prompt.", unit="rows", ge=0)
    sampling: Literal["uniform", "balanced", "closest", "furthest"] = setting(
        "uniform",
        "augment",
        f"{_SAMPLING} `balanced`: as many of each label; if the labels do not divide them, the rest are of labels that "
        "are drawn.",
    )
    examples_of: Literal["all", "asked"] = setting(
        "all",
        "augment",
        "From which rows they are drawn: `all`, or with `label: asked` those of the label `asked` for.",
    )
    per_call: int = setting(1, "augment", _EACH, unit="texts", ge=1, le=100)
    parse: Literal["line", "numbered", "json", "pattern"] = setting(
        "line",
        "augment",
        "How an answer is read. `line`: its first line is a text. `numbered`: a list, a text a line. `json`: objects, "
        "each a row. `pattern`: each line that `pattern` fits is a row.",
    )
    pattern: str | None = setting(
        None,
        "augment",
        "A regular expression for `parse: pattern`, with the named groups `text` and, with `label: written`, `label`.",
    )
    text_key: str = setting("text", "augment", "The key of the text with `parse: json`.", min_length=1)
    label_key: str = setting("label", "augment", "The key of the label with `parse: json`.", min_length=1)
    json_schema: dict[str, JsonValue] | None = setting(
        None,
        "augment",
        "A JSON schema of one object for `parse: json`, with `text_key` and, with `label: written`, `label_key` among "
        "its properties. Objects are flat. Endpoints that take a schema get it, and an object that does not fit it is "
        "no row. null: one of these two keys, which endpoints get alike.",
    )
    label: Literal["written", "asked", "example"] = setting(
        "asked",
        "augment",
        "The label of a row. `written`: the one in the answer. `asked`: the one that the prompt asks for, each label "
        "in turn. `example`: that of the one row that the prompt shows, each row in turn.",
    )
    stop: list[str] | None = setting(
        None,
        "augment",
        "What ends an answer, at most 4 texts. null: what `parse` reads no further than, for prompts that a model goes "
        "on with; nothing in a chat.",
        max_length=4,
    )

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        problem = self._find_problem()
        if problem is not None:
            raise ValueError(problem)
        return self

    def _find_problem(self) -> str | None:
        if self.parse == "line" and self.per_call > 1:
            return f"per_call: 1 beside parse: line, or parse: numbered; per_call is {self.per_call}"
        if self.parse in {"line", "numbered"} and self.label == "written":
            return f"label: asked or example beside parse: {self.parse}, which reads no labels; label is written"
        if (self.parse == "pattern") != (self.pattern is not None):
            return "pattern beside parse: pattern, and there alone"
        if self.pattern is not None and (fault := self._find_fault(self.pattern)) is not None:
            return fault
        if self.json_schema is not None and (fault := self._find_schema_fault(self.json_schema)) is not None:
            return fault
        if self.examples_of == "asked" and (self.label != "asked" or self.sampling == "balanced"):
            return "examples_of: asked beside label: asked and a sampling other than balanced"
        if self.label == "example" and (self.examples != 1 or self.sampling != "uniform"):
            return "examples: 1 and sampling: uniform beside label: example, which takes the rows in turn"
        if self.stop is not None and not all(self.stop):
            return "stop with texts that are not empty"
        return None

    def _find_schema_fault(self, schema: dict[str, JsonValue]) -> str | None:
        from jsonschema import Draft202012Validator, SchemaError  # the config alone starts without it

        if self.parse != "json":
            return "json_schema beside parse: json, and there alone"
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            return f"json_schema with a JSON schema; this one is none: {error.message}"
        if "$ref" in json.dumps(schema):
            return "json_schema without $ref; write what it refers to in its place"
        known = schema.get("properties")
        needed = [self.text_key, *([self.label_key] if self.label == "written" else [])]
        lacking = [key for key in needed if not isinstance(known, Mapping) or key not in known]
        return (
            f"json_schema with the properties {', '.join(needed)}; it lacks {', '.join(lacking)}" if lacking else None
        )

    def _find_fault(self, pattern: str) -> str | None:
        import regex  # of transformers; the config alone starts without it

        try:
            groups = {*regex.compile(pattern).groupindex}
        except regex.error as error:
            return f"pattern with a regular expression; this one is none: {error}"
        needed = {"text", "label"} if self.label == "written" else {"text"}
        if groups != needed:
            return (
                f"pattern with the named groups {' and '.join(sorted(needed))} beside label: {self.label}; it has "
                f"{', '.join(sorted(groups)) or 'none'}"
            )
        return None


class Paraphrase(Asking):
    """Several paraphrases of a row in one call, with its label (AugGPT, Dai et al. 2023)."""

    method: Literal["paraphrase"] = setting(..., "augment", "The kind of augmenter.")
    per_call: int | None = setting(
        None,
        "augment",
        f"{_EACH} null: the `multiplier`, rounded down, and at most {_MOST_PARAPHRASES}, so that no row is left out. "
        "Rows take turns: with a smaller `multiplier` than this, some are not paraphrased. With null a larger "
        "`multiplier` asks anew.",
        unit="texts",
        ge=1,
        le=100,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_per_call(cls, given: Any) -> Any:
        """Resolve the default, so that what rows depend on stands in the slice."""
        if not isinstance(given, Mapping) or given.get("per_call") is not None:
            return given
        multiplier = given.get("multiplier", cls.model_fields["multiplier"].default)
        known = isinstance(multiplier, (int, float)) and 0 < multiplier < _MOST_PARAPHRASES
        return {**given, "per_call": max(1, math.floor(multiplier)) if known else _MOST_PARAPHRASES}


class Conditional(Asking):
    """Texts of a label that is asked for, each label in turn (ZeroGen, Ye et al. 2022; SuperGen, Meng et al. 2022)."""

    method: Literal["conditional"] = setting(..., "augment", "The kind of augmenter.")
    examples: int = setting(
        2, "augment", "Real rows of the label in a prompt; 0 asks without any, as ZeroGen does.", unit="rows", ge=0
    )
    sampling: Sampling = setting("uniform", "augment", _SAMPLING)
    per_call: int = setting(1, "augment", _EACH, unit="texts", ge=1, le=100)
    candidates: int = setting(
        1,
        "augment",
        "Texts for each row, of which the one with the highest mean log-probability of its tokens is kept.",
        unit="texts",
        ge=1,
        le=128,
    )
    top_p: float = setting(0.9, "augment", "Share of the probability that tokens are sampled from.", gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _check_candidates(self) -> Self:
        if self.candidates > 1 and self.per_call > 1:
            raise ValueError(f"per_call: 1 beside candidates: {self.candidates}; per_call is {self.per_call}")
        return self


class Attributed(Asking):
    """Texts of a label with drawn attributes, whose values are asked for once (AttrPrompt, Yu et al. 2023)."""

    method: Literal["attributed"] = setting(..., "augment", "The kind of augmenter.")
    attributes: dict[str, list[str]] = setting(
        {"topic": [], "style": [], "length": ["one short sentence", "one long sentence", "two sentences"]},
        "augment",
        "The values of each attribute. Where none stand, the language model is asked for them, once for each label.",
        min_length=1,
    )
    values: int = setting(10, "augment", "How many values are asked for.", unit="values", ge=2, le=100)
    per_call: int = setting(1, "augment", _EACH, unit="texts", ge=1, le=100)


class PromptMix(Asking):
    """Texts between two labels, with stated shares (PromptMix, Sahu et al. 2023). They are meant to be relabeled."""

    method: Literal["promptmix"] = setting(..., "augment", "The kind of augmenter.")
    relabel: Relabel | None = setting(
        Relabel(by="llm"),
        "augment",
        "Who gives each row its label, see below: the second half of the method. null keeps that of the larger share.",
    )
    examples: int = setting(2, "augment", "Real rows of each label in a prompt, at most.", unit="rows", ge=0)
    descriptions: dict[str, str] = setting({}, "augment", "A sentence about each label that needs one, by its name.")
    per_call: int = setting(3, "augment", _EACH, unit="texts", ge=1, le=100)


class Cotam(Asking):
    """The label of a row is flipped in three steps of thought (CoTAM, Peng et al. 2024)."""

    method: Literal["cotam"] = setting(..., "augment", "The kind of augmenter.")
    max_tokens: int = setting(400, "augment", "The longest answer, with all three steps.", unit="tokens", ge=1)
    temperature: float = setting(0.0, "augment", "Sampling temperature; the paper's is 0.", ge=0.0, le=2.0)
    attempts: int = setting(
        1,
        "augment",
        "How often a row is asked for until an answer can be used; at temperature 0 it is mostly answered alike.",
        ge=1,
        le=100,
    )


class Custom(Sifted):
    """An augmenter of an installed package, by its entry point in the group `hypermix.augmenters`."""

    method: Literal["custom"] = setting(..., "augment", "The kind of augmenter.")
    name: Annotated[str, AfterValidator(_check_plugin)] = setting(..., "augment", "The name of its entry point.")
    settings: dict[str, JsonValue] = setting({}, "augment", "Its own settings.")
    llm: Name | None = setting(
        None, "augment", "The name of the language model that it asks, a key of `llms`; null if it asks none."
    )
