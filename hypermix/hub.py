"""The files of a model: a folder, or a commit of the hub that is downloaded once. No model is loaded here."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hypermix.errors import HypermixError
from hypermix.packages import is_path

WANTED = ("*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.spm")
"""Settings, weights and tokenizer. Never code, and never weights that are pickles."""

UNWANTED = ("[!0-9]*/*", "consolidated*")
"""Folders, and weights that stand there a second time for other programs.

Folders with a number are the parts of a sentence encoder: its pooling, such as ``1_Pooling``, is read by classifiers.
"""

UNREACHED = "check network and proxy and run again, or bring HF_HOME here from a machine that has it (docs/faq.md)"
"""What to do if the hub cannot be reached."""

_LOG = logging.getLogger(__name__)
WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOG_IN = "log in with HF_TOKEN or `hf auth login`"
_NAME_ONE = "name a folder with a model, or an id of the hub such as owner/name"
_SILENT = 100


def find_model(model: str, revision: str | None, kind: type[HypermixError], *, offline: bool = False) -> Path:
    """Find the folder of a model; one of the hub is downloaded once into the cache of its library.

    A commit that is on this machine as a whole is not asked for again.

    Args:
        model: A folder, or an id of the hub.
        revision: A commit, branch or tag of the hub; None takes the newest commit, or without network the one that was
            downloaded last.
        kind: The class of the error, by the part of the library that needs the model.
        offline: Whether the hub is not asked; the environment's HF_HUB_OFFLINE does the same.

    Raises:
        HypermixError: Of that kind, if the files cannot be had, or are no model with weights as safetensors.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if is_path(model) or not _ID.fullmatch(model):
            raise kind(f"{model}: no such folder; {_NAME_ONE}")
        folder = _download(model, revision, kind, offline=offline)
    elif revision is not None:
        raise kind(
            f"{model}: is a folder, which has no revision {revision!r}; set its revision to null, or move the folder "
            "away if you mean the model of the hub"
        )
    _check_weights(model, folder, kind)
    return folder


def commit_of(folder: Path) -> str | None:
    """Return the commit whose files a folder of the hub's cache holds; None for any other folder."""
    return folder.name if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name) else None


def _check_weights(model: str, folder: Path, kind: type[HypermixError]) -> None:
    """Check that all weights are there; a download may have ended half-way."""
    if (folder / WEIGHTS).is_file():
        return
    index = folder / _INDEX
    if not index.is_file():
        raise kind(
            f"{model}: has no weights as safetensors ({WEIGHTS} or {_INDEX}); take a model that has them, or save it "
            "so with transformers"
        )
    missing = sorted(name for name in _shards(model, index, kind) if not (folder / name).is_file())
    if missing:
        raise kind(f"{model}: lacks {missing[0]!r}, one of {len(missing)} missing weight files; fetch it again")


def _shards(model: str, index: Path, kind: type[HypermixError]) -> Iterator[str]:
    try:
        parts: Mapping[str, object] = json.loads(index.read_bytes())["weight_map"]
        names = dict.fromkeys(str(name) for name in parts.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise kind(f"{index}: is no index of weights; fetch {model} again") from error
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise kind(f"{index}: names {name!r}, which is no weight file of its folder; take another model")
        yield name


def _download(model: str, revision: str | None, kind: type[HypermixError], *, offline: bool) -> Path:
    from huggingface_hub import snapshot_download

    _LOG.info("%s: its files are looked for in the cache and on the hub", model)
    with _quiet(), _plain(model, revision or "main", kind):
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
def _plain(model: str, branch: str, kind: type[HypermixError]) -> Iterator[None]:
    """Turn what the library raises into one sentence, which quotes no server: an answer may repeat the token."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries

    try:
        yield
    except (httpx.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise kind(f"{model}: {_worded(branch, error)}") from error


def _worded(branch: str, error: BaseException) -> str:
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
        told = f"the hub cannot be reached, or the download broke off; {UNREACHED}"
    return told


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
