"""Which stored answers a study is made from: each augmentation is played through, and the store notes what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.model import Config
from hypermix.errors import ArtefactError, LlmError
from hypermix.llm.client import Client, Llm
from hypermix.llm.probe import find_abilities
from hypermix.llm.store import Record, RequestStore
from hypermix.steps.artefacts import Unit, list_units
from hypermix.steps.augment import make_rows, open_work
from hypermix.steps.model import HERE, known_abilities, main_path, open_llm
from hypermix.steps.reads import list_reads
from hypermix.steps.rewriter import open_tools


@dataclass(frozen=True)
class NotingStore(RequestStore):
    """A request store that notes the answers that were found in it.

    Attributes:
        found: Their keys.
    """

    found: set[str] = field(default_factory=set)

    def get(self, key: str) -> Record | None:
        """Return a stored answer, and note it."""
        record = super().get(key)
        if record is not None:
            self.found.add(key)
        return record


def find_answers(config: Config) -> set[str]:
    """Find the stored answers that the synthetic rows of an experiment are made from.

    Those of refused tries, of tokenizers and of probes belong to them: without one a replay would ask.

    Args:
        config: The config of an experiment that is finished.

    Returns:
        Their request keys.

    Raises:
        ArtefactError: If an answer is not stored.
        AugmentError: If the package of an augmenter is not installed.
        LlmError: If a model that runs here cannot be found.
    """
    store = NotingStore(Path(config.cache) / "requests")
    models: dict[str, Llm] = {}
    played: set[tuple[str, str, int]] = set()
    for unit in list_units(config)["augment"].values():
        name = asked_llm(config.augmenters[str(unit.keys["augmenter"])])
        if name is not None:
            _play(config, unit, store, models, played)
    return store.found


def _play(
    config: Config, unit: Unit, store: NotingStore, models: dict[str, Llm], played: set[tuple[str, str, int]]
) -> None:
    augmenter = str(unit.keys["augmenter"])
    slice_json = experiment.augment_slice(config, str(unit.keys["dataset"]), augmenter)
    inputs = {read.name: Path(read.path) for read in list_reads(config, unit) if read.maker is not None}
    work = open_work({name: str(value) for name, value in unit.keys.items()}, slice_json, inputs)
    same = (slice_json, str(inputs["train"]), work.seed)
    if same in played:  # trials that share a draw ask the same
        return
    played.add(same)
    settings = work.parts["llm"]
    runtime = {**experiment.augment_runtime(config, augmenter, threads=1), "offline": True}
    if settings["name"] not in models:
        models[settings["name"]] = open_llm(settings, runtime)
    tools, _ = open_tools(work.parts["augmenter"], runtime)
    try:
        with Client(models[settings["name"]], store, offline=True) as client:
            here = settings["api"] in HERE
            takes = known_abilities(settings, runtime) if here else find_abilities(client, main_path(settings))
            make_rows(work, work.build(takes, tools, offline=True), client)
    except LlmError as error:
        raise ArtefactError(f"{unit.place}: cannot be played again from the stored answers: {error}") from error
