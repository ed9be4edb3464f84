"""Datasets of the Hugging Face hub: one commit of a repository, prepared as Arrow files and read from the disk.

The libraries do the work: `huggingface_hub` tells the commit, `datasets` loads exactly that one. No code of a
repository ever runs. Without network, what an earlier run prepared is used; `datasets` keeps it in folders that are
named after the commit.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hypermix.data.raw import RawData, RawSplit
from hypermix.data.rows import Columns, check_columns
from hypermix.errors import DataError, accepted
from hypermix.hub import UNREACHED

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

_LOG = logging.getLogger(__name__)
BATCH_ROWS = 4096
"""Rows of a batch: some megabytes of text."""

_SECONDS = 30.0
_SILENT = 100
_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOG_IN = "log in with HF_TOKEN or `hf auth login`"


@dataclass(frozen=True)
class _Wanted:
    """What the config asks for: an id, a configuration and a revision, or None for what stands where none is named."""

    path: str
    config: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.path):
            raise DataError(
                f"dataset {self.path!r}: is no id of the hub; write owner/name in path, such as SetFit/sst2"
            )

    @property
    def branch(self) -> str:
        return self.revision or "main"


class _UnreachableError(DataError):
    """The hub gave no answer, so that what is on the disk may stand in for it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}; {advice}")
        self.what = what
        self.advice = advice

    def for_good(self, listed: str = "") -> DataError:
        return DataError(f"{self.what}, and no earlier run prepared it{listed}; {self.advice}")


def open_hub(settings: Mapping[str, Any]) -> RawData:
    """Open the splits of a dataset of the hub.

    Args:
        settings: The settings of a hub dataset, as JSON.

    Returns:
        The splits that the settings name, and the commit by the id of the dataset.

    Raises:
        DataError: If the dataset cannot be had, or lacks what the settings name.
    """
    wanted = _Wanted(settings["path"], settings["config"], settings["revision"])
    columns = Columns(settings["text"], settings["label"], settings["group"])
    named = {name: settings[name] for name in ("train", "validation", "test") if settings[name] is not None}
    with _quiet():
        try:
            commit, builder = _from_hub(wanted)
        except _UnreachableError as error:
            commit, builder = _from_disk(wanted, error)
            if wanted.revision != commit:
                # Not in the provenance: the rows are those of the commit, whoever told it.
                _LOG.warning("%s: the hub gave no answer; commit %s of an earlier run is used", wanted.path, commit)
        splits = _splits(wanted, builder, named, columns)
    return RawData(splits, {wanted.path: commit})


def resolve_commit(path: str, revision: str | None) -> str:
    """Return the commit that a revision stands for now.

    Args:
        path: The id of the dataset, such as ``SetFit/sst2``.
        revision: A commit, branch or tag; None takes the newest commit.

    Raises:
        DataError: If the hub does not answer or does not show such a dataset.
    """
    with _quiet():
        return _ask(_Wanted(path, revision=revision))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars, log lines and warnings of the libraries away, and put everything back."""
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
        import huggingface_hub.utils as hub

        for library in (datasets.utils, hub):
            if not library.are_progress_bars_disabled():
                library.disable_progress_bars()
                stack.callback(library.enable_progress_bars)
            logs = library.logging
            stack.callback(logs.set_verbosity, logs.get_verbosity())
            logs.set_verbosity(_SILENT)
        yield


def _from_hub(wanted: _Wanted) -> tuple[str, DatasetBuilder]:
    """Take a commit from the hub, without asking it where that is named and prepared."""
    if wanted.revision is not None and _COMMIT.fullmatch(wanted.revision):
        found = find_prepared(wanted.path, wanted.revision)
        # Which configuration stands for none, only the hub tells; but one called `default` always does.
        config = wanted.config or "default"
        if config in found:
            return wanted.revision, _open(wanted.path, config, found[config])
    commit = _ask(wanted)
    return commit, _load(wanted, commit)


def _ask(wanted: _Wanted) -> str:
    """Ask the hub for the commit, and have its cache note it for a run without network."""
    from huggingface_hub import HfApi

    api = HfApi()
    with _plain(wanted):
        info = api.dataset_info(wanted.path, revision=wanted.revision, timeout=_SECONDS)
        script = f"{wanted.path.partition('/')[2]}.py"
        if any(file.rfilename == script for file in info.siblings or ()):
            raise DataError(
                f"{wanted.path}, revision {wanted.branch}: needs its loading script {script}, which is never run; its "
                "data may stand in a branch made by the hub: try revision: refs/convert/parquet, or another dataset"
            )
        return api.resolve_revision(wanted.path, repo_type="dataset", revision=wanted.revision).resolved


def _load(wanted: _Wanted, commit: str) -> DatasetBuilder:
    """Download a commit and prepare it, unless that is done."""
    with _plain(wanted):
        try:
            builder = _builder(wanted, commit, None)
            if builder.hash != commit:
                # Any failure makes the library take another commit from its cache: an empty one shows what failed.
                with tempfile.TemporaryDirectory() as empty:
                    _builder(wanted, commit, empty)
                raise _UnreachableError(f"{wanted.path}: the hub did not answer all requests", "run again")
        except ValueError:
            _check_config(wanted, commit)
            raise
    with _plain(wanted, builder):
        builder.download_and_prepare()
    return builder


def _builder(wanted: _Wanted, commit: str, cache: str | None) -> DatasetBuilder:
    from datasets import load_dataset_builder

    # With the scheme, a folder of the same name in the working folder is not taken for the dataset.
    return load_dataset_builder(f"hf://datasets/{wanted.path}", wanted.config, revision=commit, cache_dir=cache)


def _check_config(wanted: _Wanted, commit: str) -> None:
    """Raise a better error if the configuration is what is wrong."""
    from datasets import get_dataset_config_names

    names = get_dataset_config_names(f"hf://datasets/{wanted.path}", revision=commit)
    if wanted.config is None and len(names) > 1:
        raise DataError(f"{wanted.path}: has {len(names)} configurations; name one in config ({accepted('', names)})")
    if wanted.config is not None and wanted.config not in names:
        raise DataError(f"{wanted.path}: has no configuration {wanted.config!r} ({accepted(wanted.config, names)})")


def _from_disk(wanted: _Wanted, error: _UnreachableError) -> tuple[str, DatasetBuilder]:
    """Take what an earlier run prepared of the commit, which the cache notes by the revision."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionResolutionError

    try:
        told = HfApi().resolve_revision(
            wanted.path, repo_type="dataset", revision=wanted.revision, local_files_only=True
        )
    except RevisionResolutionError:
        raise error.for_good() from error
    found = find_prepared(wanted.path, told.resolved)
    config = wanted.config or ("default" if "default" in found or len(found) != 1 else next(iter(found)))
    if config not in found:
        listed = f" (prepared configurations of commit {told.resolved}: {', '.join(found)})" if found else ""
        raise error.for_good(listed) from error
    return told.resolved, _open(wanted.path, config, found[config])


def find_prepared(path: str, commit: str) -> dict[str, Path]:
    """Find the folder of each configuration of a commit that an earlier run prepared."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = path.partition("/")
    dataset = Path(datasets.config.HF_DATASETS_CACHE).expanduser() / f"{owner}___{camelcase_to_snakecase(name)}"
    # The folders are configuration/version/commit.
    notes = sorted(dataset.glob(f"*/*/{commit}/{datasets.config.DATASET_INFO_FILENAME}"))
    told = {note.parent: json.loads(note.read_text(encoding="utf-8"))["config_name"] for note in notes}
    # A folder with a longer name than its configuration holds other files or features of it.
    return {config: folder for folder, config in told.items() if folder.parts[-3] == config}


def _open(path: str, config: str, folder: Path) -> DatasetBuilder:
    from datasets.packaged_modules.cache.cache import Cache

    name = path.partition("/")[2]
    return Cache(repo_id=path, dataset_name=name, config_name=config, version=folder.parts[-2], hash=folder.name)


def _splits(
    wanted: _Wanted, builder: DatasetBuilder, named: Mapping[str, str], columns: Columns
) -> dict[str, RawSplit]:
    known = dict(builder.info.splits or {})
    found = {}
    for key, split in named.items():
        if split not in known:
            none = "" if key == "train" else ", or null"
            raise DataError(
                f"{wanted.path}: has no split {split!r} for {key} ({accepted(split, known)}); name one{none}"
            )
        where = f"{wanted.path}, split {split}"
        if not known[split].num_examples:
            raise DataError(f"{where}: has no rows; name another split for {key}")
        try:
            rows = builder.as_dataset(split=split)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"{where}: the prepared file is damaged ({_line(error)}); delete {builder.cache_dir} and run again"
            ) from error
        check_columns(rows.column_names, columns, where)
        found[key] = RawSplit(where, partial(_batches, rows.select_columns(columns.wanted), where))
    return found


def _batches(rows: Dataset, where: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows, with the names of class labels in the place of their numbers."""
    from datasets import ClassLabel

    named = {name: feature.names for name, feature in rows.features.items() if isinstance(feature, ClassLabel)}
    for table in rows.with_format("arrow").iter(batch_size=BATCH_ROWS):
        for batch in table.to_batches():
            columns = {name: batch[name] for name in batch.schema.names}
            words = {name: _words(columns[name], names, f"{where}: column {name!r}") for name, names in named.items()}
            yield pa.RecordBatch.from_pydict({**columns, **words})


def _words(classes: pa.Array, names: Sequence[str], where: str) -> pa.Array:
    largest = pc.max(classes).as_py()
    if largest is not None and largest >= len(names):
        raise DataError(
            f"{where} holds the class {largest}, but only 0 to {len(names) - 1} have names; take another revision"
        )
    # The hub writes -1 where there is no label.
    return pa.array(names, pa.string()).take(pc.if_else(pc.less(classes, 0), None, classes))


@contextmanager
def _plain(wanted: _Wanted, builder: DatasetBuilder | None = None) -> Iterator[None]:
    """Turn what the libraries raise into one sentence, which quotes no server: an answer may repeat the token."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries
    from yaml import YAMLError

    # A StopIteration is what an empty JSON Lines file becomes.
    failures = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, StopIteration)
    try:
        yield
    except DataError:
        raise
    except (*failures, DatasetsError, httpx.HTTPError, YAMLError) as error:
        chain = list(_causes(error))
        raise _refusal(wanted, chain) or _silence(wanted, chain, builder) or _damage(wanted, chain, builder) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _status(chain: Iterable[BaseException]) -> int:
    """Return the status that the hub answered, 0 if it did not."""
    from huggingface_hub.errors import HfHubHTTPError

    return next((error.response.status_code for error in chain if isinstance(error, HfHubHTTPError)), 0)


def _refusal(wanted: _Wanted, chain: Sequence[BaseException]) -> DataError | None:
    """Word an answer of the hub that says no."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    def raised(*kinds: type[Exception]) -> bool:
        return any(isinstance(error, kinds) for error in chain)

    # Everybody may ask for the commit of a gated dataset; `datasets` then says that it does not exist.
    if raised(GatedRepoError, DatasetNotFoundError):
        return DataError(
            f"{wanted.path}: is gated, and the hub does not let you read it; accept the terms on the dataset's page "
            f"and {_LOG_IN}"
        )
    if raised(RepositoryNotFoundError):
        return DataError(
            f"{wanted.path}: the hub shows no such dataset; correct path, or {_LOG_IN} if the dataset is private"
        )
    if raised(RevisionNotFoundError):
        return DataError(
            f"{wanted.path}: has no revision {wanted.branch!r}; write a commit, a branch or a tag in revision, or null "
            "for the newest commit"
        )
    status = _status(chain)
    if status in (401, 403):
        return DataError(f"{wanted.path}: the hub refuses your token (status {status}); {_LOG_IN} anew")
    return None


def _silence(wanted: _Wanted, chain: Sequence[BaseException], builder: DatasetBuilder | None) -> DataError | None:
    """Word that the hub gives no answer now."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries

    status = _status(chain)
    if any(isinstance(error, OfflineModeIsEnabled) for error in chain):
        return _UnreachableError(
            f"{wanted.path}: HF_HUB_OFFLINE keeps the hub from being asked", "unset it for one run"
        )
    if status == 429 or status >= 500:
        return _UnreachableError(f"{wanted.path}: the hub answers with status {status}", "wait and run again")
    if any(isinstance(error, (httpx.ReadError, httpx.ProtocolError)) for error in chain):
        return _UnreachableError(f"{wanted.path}: the download stopped half-way", "run again")
    if any(isinstance(error, (httpx.TransportError, ConnectionError)) for error in chain):
        return _UnreachableError(f"{wanted.path}: the hub cannot be reached", UNREACHED)
    if builder is None and "LocalEntryNotFoundError" in str(chain[0]):
        # All that `datasets` leaves of such a failure.
        return _UnreachableError(f"{wanted.path}: the hub did not answer all requests", "run again")
    return None


def _damage(wanted: _Wanted, chain: Sequence[BaseException], builder: DatasetBuilder | None) -> DataError:
    """Word what is wrong with the files of a repository, or with the cache."""
    from datasets import exceptions
    from datasets.data_files import EmptyDatasetError
    from yaml import YAMLError

    first, status = chain[0], _status(chain)
    why = f"the hub answers with status {status}" if status else _line(chain[-1])
    what, advice = f"cannot be loaded ({why})", "take another revision or dataset"
    if isinstance(first, exceptions.SplitsVerificationError):
        what = "has other splits or numbers of rows than its README.md says"
    elif isinstance(first, (exceptions.DataFilesNotFoundError, EmptyDatasetError)):
        what = "holds no data files that can be loaded, such as Parquet, CSV or JSON Lines"
    elif isinstance(first, FileNotFoundError) and builder is None:
        what = "lacks data files that its README.md names"
    elif isinstance(first, YAMLError):
        what = "has a README.md whose header is no YAML"
    elif isinstance(first, OSError) and not status:
        advice = "check that the cache, which HF_HOME names, can be written and has room"
    elif builder is not None:
        what = f"{_files(builder)} cannot be read or has no rows ({why})"
    return DataError(f"{wanted.path}, revision {wanted.branch}: {what}; {advice}")


def _files(builder: DatasetBuilder) -> str:
    """Name the data files of a configuration; the library does not say which one it could not read."""
    urls = [url for group in (builder.config.data_files or {}).values() for url in group]
    names = list(dict.fromkeys(url.partition("@")[2].partition("/")[2] for url in urls))
    return " or ".join(names) if len(names) <= 3 else f"one of {len(names)} data files"


def _line(error: BaseException) -> str:
    """Return the first line of a message, or the kind of the error if there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(" .:")
