"""The request store: one file for each answer, so that no answer is asked for twice.

It lies outside of results/ and of every declared output, since Snakemake deletes those. A file is written under its
request key before anything is parsed; parsing again costs nothing.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypermix.errors import ArtefactError
from hypermix.files import write_text
from hypermix.hashing import canonical_json, digest

_LOG = logging.getLogger(__name__)
_KEY = re.compile(r"[0-9a-f]{64}")


def request_key(identity: Mapping[str, str], path: str, body: Mapping[str, Any], sample: str) -> str:
    """Return the content address of a request.

    Args:
        identity: What answers: an endpoint's base URL, or the checksum of a model that runs here, whose URL changes.
        path: The endpoint's path, such as ``/v1/completions``.
        body: The whole body as it is sent; no setting is left out.
        sample: Which draw this is.

    Returns:
        64 hexadecimal digits.
    """
    return digest({"identity": dict(identity), "path": path, "body": dict(body), "sample": sample})


@dataclass(frozen=True)
class RequestStore:
    """A folder of stored answers.

    Attributes:
        folder: Where the files are; made when the first answer is stored.
    """

    folder: Path

    def path(self, key: str) -> Path:
        """Return where the answer to a request is or would be.

        Raises:
            ArtefactError: If the key is none, so that no path leaves the folder.
        """
        if not _KEY.fullmatch(key):
            raise ArtefactError(f"{key!r} is no request key; 64 hexadecimal digits are wanted")
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> str | None:
        """Return the raw answer to a request; None if it is not stored or its file is damaged.

        A damaged file is told in the log and takes a new answer.
        """
        path = self.path(key)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            response = record["response"]
            intact = record["key"] == key and record["response_sha256"] == digest(response)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            _LOG.warning("%s: is damaged; the request is sent again", path)
            return None
        return str(response)

    def put(self, key: str, request: Mapping[str, Any], response: str) -> None:
        """Store a raw answer; whole or not at all.

        Args:
            key: The request key.
            request: What was sent, for people who look into the store.
            response: The body of the answer as it came.
        """
        record = {"key": key, "request": dict(request), "response": response, "response_sha256": digest(response)}
        write_text(self.path(key), canonical_json(record))
