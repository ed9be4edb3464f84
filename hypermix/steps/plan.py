"""plan: what an experiment will ask of language models, told before anything is spent. Nothing is sent or written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.model import Config
from hypermix.errors import LlmError
from hypermix.files import read_provenance
from hypermix.llm.backend import Backend
from hypermix.llm.client import Llm
from hypermix.llm.embedded import embedded_identity, packaged_file
from hypermix.llm.ledger import Caps, Ledger
from hypermix.llm.price import Tokens, most_completion
from hypermix.llm.probe import MOST_PROBES, all_abilities, least_probes
from hypermix.records import Abilities
from hypermix.report.forecast import Account, Amount, Forecast, Line, Model, Span
from hypermix.steps.aside import draw_aside, is_small
from hypermix.steps.augment import open_work
from hypermix.steps.choose import export_augmentation
from hypermix.steps.model import HERE, known_abilities, ledger_path, main_path, open_llm, open_store
from hypermix.steps.rehearsal import Asked, Count, rehearse
from hypermix.steps.rewriter import open_tools

PROBE = "(probe)"
"""What stands in the place of an augmenter for the requests that find out what an endpoint takes."""

_SHOWN = 5
_COUNTED = ("rows", "stored", "followed")
_DRAW = ("dataset", "subsample", "data_seed")
_AUGMENTATION = (*_DRAW, "augmenter", "trial")


@dataclass
class _Talker:
    """A language model of the experiment.

    Attributes:
        asked: Who is asked, and what was counted so far.
        path: The API for rows.
        takes: What it takes.
        assumed: Whether that is not known yet.
        here: Whether it runs here.
    """

    asked: Asked
    path: str
    takes: Abilities
    assumed: bool
    here: bool


def forecast(config: Config, export: bool = False, files: Sequence[str] = ()) -> Forecast:
    """Tell what the runs of an experiment will ask that the store does not have.

    Rows of small files that are not drawn yet are drawn in a folder that goes again.

    Args:
        config: The config.
        export: Whether the rows of the exported model are counted too.
        files: The config files that it comes from, for the commands that are told; none for the default one.

    Raises:
        AugmentError: If an augmenter could not work with what it is given.
        ConfigError: If it is not known yet what will be exported.
        DataError: If a file of rows cannot be used as it is.
        LlmError: If a model that runs here cannot be found.
    """
    with tempfile.TemporaryDirectory(prefix="hypermix-plan-") as folder:
        return _Plan(config, export, tuple(files), Path(folder)).tell()


class _Plan:
    def __init__(self, config: Config, export: bool, files: tuple[str, ...], aside: Path) -> None:
        self._config = config
        self._export = export
        self._files = files
        self._aside = aside
        self._notes: dict[str, list[str]] = {}
        self._talkers: dict[str, _Talker] = {}
        self._counts: dict[tuple[str, str], list[Count]] = {}
        self._rows: dict[tuple[str, Path, int], int] = {}
        self._missing: set[Path] = set()
        self._draws: set[Path] = set()

    def tell(self) -> Forecast:
        for key in _augmentations(self._config, self._export, self._files):
            self._count(key)
        models = {name: self._describe(name) for name in self._talkers}
        return Forecast(
            self._lines(),
            models,
            len(self._missing),
            len(self._draws),
            self._account(),
            self._export,
            self._files,
            [f"{dataset}: {note}" for dataset, notes in self._notes.items() for note in notes],
        )

    def _count(self, key: Mapping[str, Any]) -> None:
        """Count one augmentation, if its rows are drawn."""
        config, augmenter = self._config, str(key["augmenter"])
        slice_json = experiment.augment_slice(config, str(key["dataset"]), augmenter)
        name = json.loads(slice_json)["llm"]["name"]
        talker = self._talker(name, augmenter, json.loads(slice_json)["llm"])
        train = _drawn(Path(config.results), key)
        self._draws.add(train)
        root = self._find_rows(key)
        if root is None:
            self._missing.add(train)
            return
        train = _drawn(root, key)
        self._note(str(key["dataset"]), train)
        inputs = {"train": train, **_tested(config, key, root)}
        work = open_work({part: str(key[part]) for part in _AUGMENTATION}, slice_json, inputs)
        counts = self._counts.setdefault((augmenter, name), [])
        same = (slice_json, train, work.seed)
        if same in self._rows:  # the same questions: the first of them pays for all
            counts.append(Count(self._rows[same]))
            return
        tools, _ = open_tools(work.parts["augmenter"], {"offline": True})
        counts.append(rehearse(work, work.build(talker.takes, tools, offline=True), work.sieve(), talker.asked))
        self._rows[same] = counts[-1].rows

    def _find_rows(self, key: Mapping[str, Any]) -> Path | None:
        """Return the folder below which the rows of a draw are; None where they would have to be drawn by a run."""
        config, dataset = self._config, str(key["dataset"])
        if _is_current(config, _drawn(Path(config.results), key), dataset):
            return Path(config.results)
        if not is_small(config, dataset):
            return None
        draw_aside(config, key, self._aside)
        return self._aside

    def _note(self, dataset: str, train: Path) -> None:
        """Note once what a user should know of a dataset before money is spent on it."""
        if dataset in self._notes:
            return
        made, notes = read_provenance(train), self._notes.setdefault(dataset, [])
        columns, labels = made.get("columns"), made["labels"]
        if columns is not None:
            texts = ", ".join(map(repr, columns["text"]))
            notes.append(
                f"the texts are taken from the column {texts}, the labels from {columns['label']!r} (guessed: set the "
                "keys text and label if that is wrong)."
            )
        words = self._config.datasets[dataset].label_words
        if len(words) == 0 and all(_is_number(label) for label in labels):
            notes.append(
                f"the labels {', '.join(labels[:_SHOWN])} are numbers, which tell a language model little; name them "
                "with label_words."
            )

    def _talker(self, name: str, augmenter: str, llm: Mapping[str, Any]) -> _Talker:
        if name not in self._talkers:
            runtime = experiment.augment_runtime(self._config, augmenter, 1)
            takes = known_abilities(llm, runtime)
            asked = Asked(_name_llm(llm, runtime), open_store(llm, runtime))
            path = main_path(llm)
            self._talkers[name] = _Talker(
                asked, path, takes or all_abilities(path), assumed=takes is None, here=llm["api"] in HERE
            )
        return self._talkers[name]

    def _lines(self) -> list[Line]:
        lines = [self._line(augmenter, name, counts) for (augmenter, name), counts in self._counts.items()]
        unknown = [name for name, talker in self._talkers.items() if talker.assumed and self._of(name)]
        return [*(self._line(PROBE, name, [_count_probe(self._talkers[name])]) for name in unknown), *lines]

    def _line(self, augmenter: str, name: str, counts: list[Count]) -> Line:
        asked = self._talkers[name].asked
        amount = sum((asked.amount(count.low, count.high) for count in counts), Amount())
        rows, stored, followed = (sum(getattr(count, part) for count in counts) for part in _COUNTED)
        return Line(augmenter, name, rows, stored, amount, _price(asked.llm, amount), followed)

    def _describe(self, name: str) -> Model:
        talker, price = self._talkers[name], getattr(self._config.llms[name], "price", None)
        paths = {path for counts in self._of(name) for count in counts for path in count.high}
        return Model(
            here=talker.here,
            price=None if price is None else (price.input, price.output),
            as_of="" if price is None else price.as_of.isoformat(),
            source=None if price is None else price.source,
            assumed=talker.assumed,
            guessed=any(talker.asked.rate(path) is None for path in paths),
        )

    def _of(self, name: str) -> list[list[Count]]:
        return [counts for (_, llm), counts in self._counts.items() if llm == name]

    def _account(self) -> Account | None:
        """Return the budget with what is spent of it, by the experiment's own account."""
        if all(talker.here for talker in self._talkers.values()):
            return None
        runtime = {"cache": self._config.cache, "results": self._config.results}
        spent = Ledger(ledger_path(runtime), Caps()).spent()
        budget = self._config.budget
        caps = {"usd": budget.usd, "requests": budget.requests, "tokens": budget.tokens}
        return Account(
            {name: cap for name, cap in caps.items() if cap is not None},
            {name: getattr(spent, name) for name in caps},
        )


def _augmentations(config: Config, export: bool, files: Sequence[str]) -> list[dict[str, Any]]:
    """List what asks a language model; runs that differ in the classifier share it."""
    keys_of_all = [*experiment.runs(config), *([export_augmentation(config, files)] if export else [])]
    asking = [key for key in keys_of_all if asked_llm(config.augmenters[str(key["augmenter"])])]
    keys = dict.fromkeys(tuple(key[part] for part in _AUGMENTATION) for key in asking)
    return [dict(zip(_AUGMENTATION, values, strict=True)) for values in keys]


def _is_number(label: str) -> bool:
    return label.removeprefix("-").replace(".", "", 1).isdecimal()


def _drawn(root: Path, key: Mapping[str, Any]) -> Path:
    return root.joinpath("subsample", *(f"{part}={key[part]}" for part in _DRAW), "train.parquet")


def _tested(config: Config, key: Mapping[str, Any], root: Path) -> dict[str, Path]:
    """Name the test rows that a draw's rows are held against, if they are there."""
    reads = experiment.augment_reads(config, str(key["dataset"]), str(key["augmenter"]))
    if "tested" not in reads:
        return {}
    stage, split = reads["tested"]
    parts = _DRAW if stage == "subsample" else _DRAW[:1]
    path = root.joinpath(stage, *(f"{part}={key[part]}" for part in parts), f"{split}.parquet")
    return {"tested": path} if path.is_file() else {}


def _is_current(config: Config, train: Path, dataset: str) -> bool:
    """Tell whether rows are drawn, and with the settings of the config: else they will be drawn anew."""
    if not train.is_file():
        return False
    made = read_provenance(train).get("slices", {})
    wanted = {"prepare": experiment.prepare_slice(config, dataset), "subsample": experiment.subsample_slice(config)}
    return all(made.get(stage) == json.loads(slice_json) for stage, slice_json in wanted.items())


def _name_llm(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    """Return what a language model is called in requests; a packaged one is not joined for it."""
    if llm["api"] == "transformers":
        try:
            return open_llm(llm, {**runtime, "offline": True})
        except LlmError:  # its files are not here, so neither are its answers
            return Llm(llm["model"], {}, _open_nothing)
    packaged = packaged_file(llm["model"]) if llm["api"] == "embedded" else None
    if packaged is None:
        return open_llm(llm, runtime)
    file, sha256 = packaged
    return Llm(Path(file).stem, embedded_identity(sha256, llm["context"], llm["slots"]), _open_nothing)


def _open_nothing() -> AbstractContextManager[Backend]:
    raise LlmError("a plan asks nothing; run snakemake")


def _count_probe(talker: _Talker) -> Count:
    llm, count = talker.asked.llm, Count()
    questions = [llm.question(request) for request in least_probes(llm, talker.path)]
    for question in questions:
        count.low[talker.path].add(question, 1)
    first = questions[0]
    count.high[talker.path].add(first, most_completion(first.body), times=MOST_PROBES)
    return count


def _price(llm: Llm, amount: Amount) -> Span | None:
    if llm.rate is None:
        return None
    ends = [Tokens(int(getattr(amount.prompt, end)), int(getattr(amount.completion, end))) for end in ("low", "high")]
    return Span(*map(llm.rate.usd, ends))
