"""The settings of the augmenters that rewrite real rows, most of them without asking a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from hypermix.config.augmenter import Augmenter, Making
from hypermix.config.setting import Name, setting
from hypermix.packages import has_wordnet

OPUS = "Helsinki-NLP/opus-mt-{}-{}"
"""The models of the hub that translate from one language to another."""

_LANGUAGE = r"^[\w ()-]{2,40}$"
_LANGUAGES = {"marian": {"language": "en", "pivot": "de"}, "llm": {"language": "English", "pivot": "German"}}


class Rewriting(Making):
    """What every method has that changes real rows."""

    COPIES = "exact"

    attempts: int = setting(3, "augment", "How often a row is tried until its text has changed.", ge=1, le=100)


class Eda(Rewriting):
    """Words replaced, inserted, swapped and deleted (EDA, Wei and Zou 2019), one of the four a row, in turn."""

    method: Literal["eda"] = setting(..., "augment", "The kind of augmenter.")
    alpha_replace: float = setting(
        0.1,
        "augment",
        "Share of a text's words that are replaced by a synonym, rounded down, and at least one; 0 leaves the "
        "operation out.",
        ge=0.0,
        le=1.0,
    )
    alpha_insert: float = setting(
        0.1, "augment", "The same for the insertion of synonyms of its words anywhere.", ge=0.0, le=1.0
    )
    alpha_swap: float = setting(0.1, "augment", "The same for pairs of words that change places.", ge=0.0, le=1.0)
    alpha_delete: float = setting(
        0.1, "augment", "Probability with which each word is deleted; at least one is, and never all.", ge=0.0, le=1.0
    )
    synonyms: Literal["auto", "wordnet", "embedding"] = setting(
        "auto",
        "augment",
        "`wordnet`: those of the wordnet that `lexicon` names. `embedding`: the words nearest in the input embedding "
        "of the packaged encoder; English, and not all of them are synonyms. `auto` takes the wordnet if it is "
        "installed. Results say what was taken, never `auto`.",
    )
    lexicon: str = setting(
        "oewn:2024",
        "augment",
        "A wordnet by the name and version that the library wn gives it, such as `omw-en:1.4`, which is WordNet 3.0. "
        "It is not downloaded: `python -m wn download oewn:2024`.",
        pattern=r"^[\w+-]+:[\w.+-]+$",
    )
    similarity: float = setting(
        0.55, "augment", "Least cosine of a neighbor with `synonyms: embedding`.", gt=0.0, lt=1.0
    )
    neighbors: int = setting(10, "augment", "Most neighbors of a word with `synonyms: embedding`.", ge=1)

    @model_validator(mode="before")
    @classmethod
    def _find_synonyms(cls, given: Any) -> Any:
        """Replace `auto` by what it comes to here, so that slices and results name it."""
        if not isinstance(given, Mapping) or given.get("synonyms", "auto") != "auto":
            return given
        lexicon = given.get("lexicon", cls.model_fields["lexicon"].default)
        there = isinstance(lexicon, str) and has_wordnet(lexicon)
        return {**given, "synonyms": "wordnet" if there else "embedding"}

    @model_validator(mode="after")
    def _check_alphas(self) -> Self:
        if not any((self.alpha_replace, self.alpha_insert, self.alpha_swap, self.alpha_delete)):
            raise ValueError("an alpha above 0; all four are 0, and nothing would change")
        return self


class Contextual(Rewriting):
    """Words replaced by draws from a masked language model (Kobayashi 2018; defaults are those of nlpaug)."""

    method: Literal["contextual"] = setting(..., "augment", "The kind of augmenter.")
    model: str = setting(
        "google-bert/bert-base-uncased",
        "augment",
        "A masked language model: a folder, or a model id of the hub. Weights are read from safetensors only.",
        min_length=1,
    )
    revision: str | None = setting(
        None, "augment", "A commit, branch or tag of the hub; null for its main branch.", min_length=1
    )
    share: float = setting(
        0.3, "augment", "Share of a text's words that are replaced, rounded down, and at least one.", gt=0.0, le=1.0
    )
    most: int = setting(10, "augment", "Most words that are replaced in a text.", unit="words", ge=1)
    top_k: int = setting(100, "augment", "How many of the likeliest words are drawn from.", unit="words", ge=2)


def local_models(augmenter: Augmenter) -> dict[str, str]:
    """Return the models that run here for an augmenter, by the settings that name them."""
    named = {name: getattr(augmenter, name, None) for name in ("model", "forward", "back")}
    return {name: model for name, model in named.items() if model is not None}


class Backtranslate(Rewriting):
    """Texts translated into another language and back, by draws, so that several rows of one text differ."""

    method: Literal["backtranslate"] = setting(..., "augment", "The kind of augmenter.")
    by: Literal["marian", "llm"] = setting(
        "marian",
        "augment",
        "Who translates. `marian`: two translation models that run here. `llm`: the language model, in two calls.",
    )
    llm: Name | None = setting(
        None, "augment", "The name of the language model with `by: llm`, a key of `llms`; else null."
    )
    language: str | None = setting(
        None,
        "augment",
        "The language of the texts: as models name it, or in a word with `by: llm`. null: `en`, `English`.",
        pattern=_LANGUAGE,
    )
    pivot: str | None = setting(
        None, "augment", "The language to go over, named in the same way. null: `de`, `German`.", pattern=_LANGUAGE
    )
    forward: str | None = setting(
        None,
        "augment",
        f"The model that translates into the pivot language: a folder, or a model id of the hub; null for "
        f"`{OPUS.format('LANGUAGE', 'PIVOT')}`. Weights are read from safetensors only.",
        min_length=1,
    )
    forward_revision: str | None = setting(
        None, "augment", "A commit, branch or tag of the hub; null for its main branch.", min_length=1
    )
    back: str | None = setting(
        None, "augment", "The model that translates back; null for that of the other direction.", min_length=1
    )
    back_revision: str | None = setting(
        None, "augment", "A commit, branch or tag of the hub; null for its main branch.", min_length=1
    )
    temperature: float = setting(0.9, "augment", "Sampling temperature of both translations.", gt=0.0, le=2.0)
    top_p: float = setting(
        1.0, "augment", "Share of the probability that tokens are sampled from with `by: llm`.", gt=0.0, le=1.0
    )
    frequency_penalty: float = setting(
        0.0, "augment", "Penalty on tokens that the answer already has with `by: llm`.", ge=-2.0, le=2.0
    )
    max_tokens: int = setting(100, "augment", "The longest translation with `by: llm`.", unit="tokens", ge=1)

    @model_validator(mode="before")
    @classmethod
    def _name_models(cls, given: Any) -> Any:
        """Name the models, so that the slice tells them."""
        by = given.get("by", "marian") if isinstance(given, Mapping) else None
        if not isinstance(by, str) or by not in _LANGUAGES:
            return given  # told later
        told = {**given, **{name: way for name, way in _LANGUAGES[by].items() if given.get(name) is None}}
        if by == "llm":
            return told
        there, back = OPUS.format(told["language"], told["pivot"]), OPUS.format(told["pivot"], told["language"])
        return {**told, **{way: name for way, name in (("forward", there), ("back", back)) if told.get(way) is None}}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.by == "llm") != (self.llm is not None):
            raise ValueError("llm, a key of llms, beside by: llm, and there alone")
        models = (self.forward, self.back, self.forward_revision, self.back_revision)
        if self.by == "llm" and any(model is not None for model in models):
            raise ValueError("forward, back and their revisions beside by: marian alone")
        if self.language == self.pivot:
            raise ValueError(f"a pivot other than the language of the texts; both are {self.pivot!r}")
        return self
