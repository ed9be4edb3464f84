"""Asking other machines for a few seconds, and the hub in particular."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from hypermix.hub import UNREACHED

SECONDS = 6.0
"""How long one machine may take to answer."""

_LONGEST = 8.0
GATED = "is gated"
"""What is no trouble for whoever has accepted the terms."""

_LOG_IN = "log in with HF_TOKEN or `hf auth login`"
_Told = TypeVar("_Told")

Trouble = tuple[str, str]
"""What is wrong, and what to do."""


def within(seconds: float, ask: Callable[[], _Told]) -> _Told:
    """Do something that may hang, such as looking for the address of a host.

    Args:
        seconds: How long it is waited for; then it is left alone in a thread that does not outlive the process.
        ask: What to do.

    Raises:
        TimeoutError: If it takes longer.
    """
    with ThreadPool(1) as pool:  # of daemons, which nobody joins
        try:
            return pool.apply_async(ask).get(seconds)
        except multiprocessing.TimeoutError:
            raise TimeoutError(f"no answer in {seconds:g} s") from None


def ask_hub(kind: str, name: str, revision: str | None) -> Trouble | None:
    """Ask the hub whether it shows a repository; nothing is downloaded.

    Args:
        kind: ``dataset`` or ``model``.
        name: Its id.
        revision: A commit, branch or tag; None for the main branch.

    Returns:
        What is wrong, quoting no server; None if nothing is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub import errors as hub
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries

    api = HfApi()
    look = api.dataset_info if kind == "dataset" else api.model_info
    try:
        info = within(_LONGEST, lambda: look(name, revision=revision, timeout=SECONDS))
    except hub.OfflineModeIsEnabled:
        return "is not on this machine, and HF_HUB_OFFLINE keeps the hub from being asked", "unset it for one run"
    except hub.GatedRepoError:
        return "is gated, and the hub does not let you read it", f"accept the terms on its page and {_LOG_IN}"
    except hub.RevisionNotFoundError:
        return f"has no revision {revision!r}", "write a commit, a branch or a tag in revision, or null"
    except hub.RepositoryNotFoundError:
        return f"the hub shows no such {kind}", f"correct its name, or {_LOG_IN} if it is private"
    except hub.HfHubHTTPError as error:
        status = error.response.status_code
        todo = f"{_LOG_IN} anew" if status in (401, 403) else "wait and try again"
        return f"the hub answers with status {status}", todo
    except (OSError, ValueError, RuntimeError, httpx.HTTPError):
        return "is not on this machine, and the hub cannot be reached", UNREACHED
    if info.gated:
        return GATED, f"accept the terms on its page and {_LOG_IN}, if that is not done"
    return None
