"""The files of a model of api: transformers, and what stands for them in request keys. No model is loaded here."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from hypermix.errors import LlmError, ServerError
from hypermix.files import write_text
from hypermix.hashing import canonical_json, digest, file_digest
from hypermix.packages import is_path

WANTED = ("*.json", "*.safetensors", "tokenizer.model", "*.txt")
"""Settings, weights and tokenizer. Never code, and never weights that are pickles."""

UNWANTED = ("*/*", "consolidated*")
"""Folders, and weights that stand there a second time for other programs."""

_LOG = logging.getLogger(__name__)
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_NOTES = "digests.json"
_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_LOG_IN = "log in with HF_TOKEN or `hf auth login`"
_NAME_ONE = "name a folder with a model, or an id of the hub such as owner/name"
_SILENT = 100


def local_files(model: str, revision: str | None, *, offline: bool = False) -> Path:
    """Find the folder of a model; one of the hub is downloaded once into the cache of its library.

    Args:
        model: A folder, or an id of the hub.
        revision: A commit, branch or tag of the hub; None takes the newest commit, or without network the one that was
            downloaded last.
        offline: Whether the hub is not asked; the environment's HF_HUB_OFFLINE does the same.

    Raises:
        ServerError: If the files cannot be had, or are no model with weights as safetensors.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if is_path(model) or not _ID.fullmatch(model):
            raise ServerError(f"{model}: no such folder; {_NAME_ONE}")
        folder = _download(model, revision, offline=offline)
    elif revision is not None:
        raise ServerError(
            f"{model}: is a folder, which has no revision {revision!r}; set the llm's revision to null, or move the "
            "folder away if you mean the model of the hub"
        )
    _check_weights(model, folder)
    return folder


def local_identity(folder: Path, *, dtype: str, context: int, batch_size: int, cache: Path) -> dict[str, str]:
    """Return what stands for a model in request keys: all of its files, and what changes its answers.

    Whether a GPU computes is left out, although its last bits are others: so hours of a GPU can be replayed on a
    laptop. The answers tell it in their ``system_fingerprint``.

    Args:
        folder: The model's folder, as `local_files` returns it.
        dtype: The numbers of the computation.
        context: Tokens of the longest prompt with its answer.
        batch_size: Answers that are computed at once; it changes their last bits.
        cache: A folder for a note of the digests of large files, so that they are not read again for each job.

    Raises:
        ServerError: If a file cannot be read.
    """
    try:
        digests = _digests(sorted(path for path in folder.iterdir() if _wanted(path)), cache / _NOTES)
    except OSError as error:
        raise ServerError(
            f"{folder}: cannot be read: {error.strerror}; see to the folder and its permissions"
        ) from error
    listed = sorted([path.name, value] for path, value in digests.items())
    return {"model_sha256": digest(listed), "dtype": dtype, "context": str(context), "batch_size": str(batch_size)}


def _wanted(path: Path) -> bool:
    names = any(fnmatchcase(path.name, pattern) for pattern in WANTED)
    return names and not any(fnmatchcase(path.name, pattern) for pattern in UNWANTED) and path.is_file()


def _digests(paths: list[Path], notes: Path) -> dict[Path, str]:
    """Return the SHA-256 of each file; one that was not touched since is not read again."""
    known = _read_notes(notes)
    found: dict[Path, str] = {}
    new: dict[str, list[int | str]] = {}
    for path in paths:
        place, facts = str(path.resolve()), path.stat()
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
        before = known.get(place)
        if before is None or before[:-1] != stamp:
            before = [*stamp, file_digest(path)]
            new[place] = before
        found[path] = str(before[-1])
    if new:
        # Another job may have written meanwhile; what it noted of other models is kept.
        kept = {place: note for place, note in _read_notes(notes).items() if Path(place).is_file()}
        write_text(notes, canonical_json({**kept, **new}))
    return found


def _read_notes(notes: Path) -> dict[str, list[int | str]]:
    """Read the notes; those that are damaged count as none."""
    try:
        told = json.loads(notes.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {place: note for place, note in told.items() if _is_note(note)}


def _is_note(note: object) -> bool:
    return (
        isinstance(note, list)
        and len(note) == 4
        and all(isinstance(number, int) for number in note[:3])
        and re.fullmatch(r"[0-9a-f]{64}", str(note[3])) is not None
    )


def _check_weights(model: str, folder: Path) -> None:
    """Check that all weights are there; a download may have ended half-way."""
    if (folder / _WEIGHTS).is_file():
        return
    index = folder / _INDEX
    if not index.is_file():
        raise ServerError(
            f"{model}: has no weights as safetensors ({_WEIGHTS} or {_INDEX}); take a model that has them, or save it "
            "so with transformers"
        )
    missing = sorted(name for name in _shards(model, index) if not (folder / name).is_file())
    if missing:
        raise ServerError(f"{model}: lacks {missing[0]!r}, one of {len(missing)} missing weight files; fetch it again")


def _shards(model: str, index: Path) -> Iterator[str]:
    try:
        parts: Mapping[str, object] = json.loads(index.read_bytes())["weight_map"]
        names = dict.fromkeys(str(name) for name in parts.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"{index}: is no index of weights; fetch {model} again") from error
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ServerError(f"{index}: names {name!r}, which is no weight file of its folder; take another model")
        yield name


def _download(model: str, revision: str | None, *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    _LOG.info("%s: its files are looked for in the cache and on the hub", model)
    with _quiet(), _plain(model, revision or "main"):
        return Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
                local_files_only=offline,
            )
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and log lines of the library away, and put them back."""
    from huggingface_hub.utils import logging as logs
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    with ExitStack() as stack:
        if not are_progress_bars_disabled():
            disable_progress_bars()
            stack.callback(enable_progress_bars)
        stack.callback(logs.set_verbosity, logs.get_verbosity())
        logs.set_verbosity(_SILENT)
        yield


@contextmanager
def _plain(model: str, branch: str) -> Iterator[None]:
    """Turn what the library raises into one sentence, which quotes no server: an answer may repeat the token."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries

    try:
        yield
    except (httpx.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise _worded(model, branch, error) from error


def _worded(model: str, branch: str, error: BaseException) -> LlmError:
    from huggingface_hub import errors as hub

    chain = list(_causes(error))
    status = next((one.response.status_code for one in chain if isinstance(one, hub.HfHubHTTPError)), 0)

    def raised(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    if raised(hub.GatedRepoError):
        told = f"is gated, and the hub does not let you read it; accept the terms on the model's page and {_LOG_IN}"
    elif raised(hub.RevisionNotFoundError):
        told = f"has no revision {branch!r}; write a commit, a branch or a tag in revision, or null for the newest"
    elif status in (401, 403) and not raised(hub.RepositoryNotFoundError):
        told = f"the hub refuses your token (status {status}); {_LOG_IN} anew"
    elif raised(hub.RepositoryNotFoundError):
        told = f"there is no such folder, and the hub shows no such model; {_NAME_ONE}, or {_LOG_IN} if it is private"
    elif raised(hub.HFValidationError):
        told = f"is no folder and no id of the hub; {_NAME_ONE}"
    elif raised(hub.OfflineModeIsEnabled) or (raised(hub.LocalEntryNotFoundError) and len(chain) == 1):
        told = (
            f"revision {branch!r} is not on this machine as a whole, and the hub is not asked (HF_HUB_OFFLINE, or "
            "offline: true); unset that for one run"
        )
    elif status:
        told = f"the hub answers with status {status}; wait and run again"
    elif isinstance(error, OSError) and error.errno is not None:
        told = (
            f"cannot be stored: {error.strerror}; see that the cache, which HF_HOME names, can be written and has room"
        )
    else:
        told = "the hub cannot be reached, or the download broke off; check network and proxy and run again"
    return ServerError(f"{model}: {told}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
