"""The one declaration of every setting.

The JSON schema, `config/README.md` and each rule's slice come from it. Defaults are the reference's, where it has them
(GPT3Mix, Yoo et al. 2021, and its code); `config/config.yaml` chooses others for a first run on a small machine.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag

from hypermix.config.augmenters import AnyAugmenter
from hypermix.config.classifier import AnyClassifier
from hypermix.config.dataset import AnyDataset
from hypermix.config.encoder import Encoder
from hypermix.config.llm import AnyLlm, Budget
from hypermix.config.setting import Name, Settings, setting
from hypermix.seeding import MAX_SEED


def _check_license(license_id: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}", license_id):
        raise ValueError("the hub's name of a license, such as apache-2.0, cc-by-4.0 or other")
    return license_id


def _check_language(code: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}|multilingual", code):
        raise ValueError("the code of a language, such as en, or multilingual")
    return code


Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Size = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]*s|(0?\.[0-9]*[1-9][0-9]*|1\.0*)f)$")]
License = Annotated[str, AfterValidator(_check_license)]
Language = Annotated[str, AfterValidator(_check_language)]
Folder = Annotated[str, StringConstraints(pattern=r"^[^{}]*[^{}/]$")]


class Subsample(Settings):
    """How many rows are drawn."""

    train: list[Size] = setting(
        ["32s"],
        "aggregate",
        "Sizes to draw for training, each a part of the experiment: `32s` is 32 rows a class, `0.01f` is 1 % of train "
        "in equal parts from each class, as in the reference's code.",
        min_length=1,
    )
    validation: Size | None = setting(
        "32s", "subsample", "Validation rows to draw (true few-shot); null takes all, as the reference does."
    )
    test: Size | None = setting(None, "subsample", "Test rows to draw; null takes all.")


class SeedPlan(Settings):
    """Seeds that the reference would derive from a master seed."""

    master: Seed = setting(42, "aggregate", "Seed of the generator that the seeds are drawn from.")
    count: int = setting(3, "aggregate", "How many seeds.", ge=1)


def _seeds_form(value: object) -> str:
    return "list" if isinstance(value, list) else "plan"


AnySeeds = Annotated[
    Annotated[SeedPlan, Tag("plan")] | Annotated[list[Seed], Tag("list"), Field(min_length=1)],
    Discriminator(_seeds_form),
]


class Seeds(Settings):
    """Which draws are made."""

    data: AnySeeds = Field(
        default_factory=SeedPlan,
        description="Data seeds: each decides which rows are drawn. A count from a master, or a list such as [1, 2].",
        json_schema_extra={"stage": "aggregate"},
    )
    trials: AnySeeds = Field(
        default_factory=lambda: SeedPlan(count=1),
        description="Trial seeds: each decides one augmentation draw and one training run. A count or a list.",
        json_schema_extra={"stage": "aggregate"},
    )
    design: Literal["crossed", "paired"] = setting(
        "crossed",
        "aggregate",
        "`crossed` runs every trial on every data seed; `paired` takes the i-th of each, as the reference does.",
    )


class Report(Settings):
    """How results are judged and shown."""

    baselines: list[Name] | None = setting(
        None, "aggregate", "Augmenters to compare with; null takes those of the methods `none` and `duplicate`."
    )
    alpha: float = setting(0.05, "aggregate", "Largest adjusted p value that counts as shown.", gt=0.0, lt=1.0)
    level: float = setting(0.95, "aggregate", "Confidence level of the intervals.", gt=0.5, lt=1.0)
    rows: int = setting(2000, "aggregate", "Most synthetic rows that the report carries.", unit="rows", ge=0)


class Quality(Settings):
    """How synthetic rows are measured; docs/augmenters.md tells what."""

    rows: int = setting(
        1000,
        "quality",
        "Most texts of a draw that are embedded, a quarter each of synthetic, further real, train and test rows: most "
        "of the time of a small draw is theirs.",
        unit="rows",
        ge=100,
    )
    model: Encoder = setting(
        "package:minilm-l6",
        "quality",
        "The encoder of texts: `package:minilm-l6`, a folder, or a model id of the hub, of which the main branch is "
        "taken.",
        min_length=1,
    )
    judge_rows: int = setting(
        120_000,
        "quality",
        "Most real rows that the judge of labels learns: a bound for very large datasets, whose rows are drawn.",
        unit="rows",
        ge=100,
    )


class Export(Settings):
    """The model that `snakemake export` writes: trained on all rows of train, stopped by all rows of validation."""

    dataset: Name | None = setting(None, "choose", "The dataset that it is for; null if there is only one.")
    augmenter: Name | None = setting(
        None,
        "choose",
        "Its augmenter. null takes the best of those whose gain is shown, and `none` where none is; see "
        "docs/decisions.md.",
    )
    classifier: Name | None = setting(
        None, "choose", "Its classifier; null takes the one with the best mean at the largest size."
    )
    license: License | None = setting(
        None,
        "export",
        "Under which license you pass it on, such as `apache-2.0`; null: the card sets none.",
    )
    language: Language | None = setting(None, "export", "The language of the texts, such as `en`, for the card.")


RuleName = Literal[
    "prepare", "subsample", "augment", "quality", "train", "evaluate", "aggregate", "choose", "fit", "export"
]
"""A rule of the workflow."""


class Threads(Settings):
    """Threads a job asks for."""

    augment: int = setting(1, "runtime", "Threads of an augmentation with an embedded or transformers model.", ge=1)
    train: int = setting(
        1,
        "train",
        "Threads of a training run; with some encoders they change the last bits. One is best for short runs.",
        ge=1,
    )


class Config(Settings):
    """An experiment: the product of datasets, sizes, data seeds, augmenters, classifiers and trials."""

    datasets: dict[Name, AnyDataset] = setting(..., None, "Named datasets.", min_length=1)
    subsample: Subsample = setting(Subsample(), None, "How many rows are drawn.")
    seeds: Seeds = setting(Seeds(), None, "Which draws are made.")
    llms: dict[Name, AnyLlm] = setting({}, None, "Named language models.")
    augmenters: dict[Name, AnyAugmenter] = setting(..., None, "Named augmenters.", min_length=1)
    classifiers: dict[Name, AnyClassifier] = setting(..., None, "Named classifiers.", min_length=1)
    only: list[dict[str, str | int]] = setting(
        [],
        "aggregate",
        "If given, a run must match one of these partial keys, such as `{augmenter: gpt3mix, dataset: rt}`.",
    )
    except_: list[dict[str, str | int]] = Field(
        default_factory=list,
        alias="except",
        description="A run that matches one of these partial keys is left out.",
        json_schema_extra={"stage": "aggregate"},
    )
    budget: Budget = setting(Budget(), None, "Caps on what hosted language models may cost.")
    report: Report = setting(Report(), None, "How results are judged and shown.")
    quality: Quality = setting(Quality(), None, "How synthetic rows are measured.")
    export: Export = setting(Export(), None, "The model that `snakemake export` writes.")
    threads: Threads = setting(Threads(), None, "Threads a job asks for.")
    results: Folder = setting("results", "runtime", "The folder of all outputs.")
    cache: Folder = setting(
        "cache", "runtime", "The folder of what is paid or fetched once: stored answers, downloads, models."
    )
    offline: bool = setting(
        False,
        "runtime",
        "Ask no language model and no hub for a model: stored answers and downloads alone are used, and the first that "
        "is missing ends the job.",
    )
    login_node: list[RuleName] = setting(
        [],
        "runtime",
        "Rules whose jobs run where Snakemake itself does, and not as jobs of a cluster: `[prepare, augment]` where "
        "nodes have no network.",
    )
