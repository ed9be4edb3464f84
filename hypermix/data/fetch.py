"""Files that lie elsewhere: fetched whole, once, before a row is read."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypermix.errors import DataError, accepted
from hypermix.files import atomic
from hypermix.hashing import digest

_LOG = logging.getLogger(__name__)
_NAME_DIGITS = 16
_KNOWN = ("ftp", "gs", "hf", "http", "https", "s3")
_SILENCE_SECONDS = 60.0
_SUFFIXES = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}$")


def fetch(url: str, downloads: Path) -> Path:
    """Copy a file from a URL into the cache, or take the copy that is there.

    Args:
        url: Any URL that fsspec knows; s3, gs and others need their own package.
        downloads: The folder that keeps copies, each under a digest of its URL.

    Returns:
        The copy.

    Raises:
        DataError: If it cannot be had, or came in part.
    """
    import fsspec
    from fsspec.exceptions import FSTimeoutError

    shown, target = without_secret(url), cached_file(url, downloads)
    if target.is_file():
        _LOG.info("%s: taken from %s; delete that file to fetch it again", shown, target)
        return target
    scheme = url.partition("://")[0].partition("::")[0].lower()
    if scheme not in fsspec.available_protocols():
        raise DataError(f"{shown}: {scheme!r} is no protocol that can be fetched; {accepted(scheme, _KNOWN)}")
    try:
        urlsplit(url)
        with atomic(target) as temporary:
            system, path = fsspec.url_to_fs(url, **_options(scheme, target))
            system.get_file(path, str(temporary))
    except (FileNotFoundError, FileExistsError, IsADirectoryError):  # the latter two for a folder
        raise DataError(f"{shown}: no such file; mend the URL") from None
    except ImportError as error:
        raise DataError(f"{shown}: cannot be fetched without another package: {error}; install it") from None
    except (ValueError, TypeError, AttributeError):  # what fsspec's systems raise for what is no address of theirs
        raise DataError(f"{shown}: is no URL of the kind {scheme}; mend it") from None
    except (OSError, EOFError, FSTimeoutError, *_http_errors()) as error:
        raise DataError(
            f"{shown}: was not fetched whole ({_word(error)}); nothing is kept, run again to try again"
        ) from None
    return target


def cached_file(url: str, downloads: Path) -> Path:
    """Return where the copy of a file from a URL lies, whether it is there or not.

    Args:
        url: Where it comes from.
        downloads: The folder that keeps copies.
    """
    # No part of a name that another host chose but its suffixes becomes a path here.
    suffixes = _SUFFIXES.search(without_secret(url).rpartition("/")[2])
    return downloads / f"{digest(url)[:_NAME_DIGITS]}{suffixes[0] if suffixes else ''}"


def _options(scheme: str, target: Path) -> dict[str, Any]:
    """Return what fsspec needs to know for a protocol."""
    if scheme not in ("http", "https"):
        return {}
    import aiohttp

    # A large file may take hours, only silence ends it. A compressed file stays as it is, whatever its host says of it.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_SECONDS, sock_read=_SILENCE_SECONDS)
    client = {"timeout": timeout, "auto_decompress": target.suffix.lower() not in (".gz", ".zst")}
    return {"client_kwargs": client, "headers": {"Accept-Encoding": "identity"}}


def without_secret(url: str) -> str:
    """Return a URL without what may be a secret in it: user, password, query."""
    return "::".join(_public_part(part) for part in url.split("::"))


def _public_part(part: str) -> str:
    scheme, mark, rest = re.split(r"[?#]", part, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _http_errors() -> tuple[type[Exception], ...]:
    import aiohttp
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # exported for other libraries

    return (aiohttp.ClientError, httpx.HTTPError)


def _word(error: Exception) -> str:
    # aiohttp's own words hold the URL with its query.
    status = getattr(error, "status", None)
    return f"status {status}" if status else type(error).__name__
