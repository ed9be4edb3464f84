"""The process that llama.cpp's server runs in: `python -m hypermix.llm.server`.

A process of its own, since the server's destructor can wait for ever, and since a crash of native code must not take
a job and its message along. It reads one line of JSON from standard input (the key stands in no argument list), writes
one line of JSON with the address or the error, and ends when standard input does: so it never outlives its job, even
one that is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import xllamacpp


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the job decides
    settings = json.loads(sys.stdin.readline())
    try:
        server = xllamacpp.Server(_parameters(settings))
    except (RuntimeError, ValueError, OSError) as error:
        _tell({"error": str(error)})
    else:
        _tell({"address": server.listening_address})
        sys.stdin.read()
    os._exit(0)  # past the destructor


def _parameters(settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    # The slots share what is given as the context.
    params.n_ctx, params.n_parallel = settings["context"] * settings["slots"], settings["slots"]
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_prompt = params.warmup = params.ui = False
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [settings["key"]]
    params.verbosity = -1
    return params


def _tell(message: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
