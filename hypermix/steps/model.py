"""From the settings of a language model to one that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypermix.config.llm import KEY_FILE, KEY_VARIABLE
from hypermix.llm import embedded
from hypermix.llm.backend import TOKENIZE
from hypermix.llm.batch.backend import BatchBackend
from hypermix.llm.batch.submission import Timing
from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import embedded_llm, locate_model
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.ledger import Caps, Ledger, account_path
from hypermix.llm.local import backend as local
from hypermix.llm.local.backend import open_local
from hypermix.llm.local.files import local_files, local_identity
from hypermix.llm.price import Rate
from hypermix.llm.probe import find_abilities, recall_abilities
from hypermix.llm.remote import open_remote, read_key
from hypermix.llm.store import Answer, RequestStore
from hypermix.records import CHAT, COMPLETIONS, Abilities

HERE = ("embedded", "transformers")
"""The APIs of models that run here and cost nothing."""

_ABILITIES_HERE = {"embedded": embedded.ABILITIES, "transformers": local.ABILITIES}
_SLACK = 60.0
_LONGEST_BATCH = 26 * 3600.0


def open_llm(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    """Return a language model that can be asked; nothing is started or sent yet.

    Args:
        llm: Its settings of the stage augment, as the slice has them.
        runtime: See `hypermix.steps.augment.run`.

    Raises:
        LlmError: If a model that runs here cannot be found.
    """
    build: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Llm]] = {
        "embedded": _embedded,
        "transformers": _transformers,
        "completions": _hosted,
        "chat": _hosted,
        "batch": _batch,
    }
    return build[llm["api"]](llm, runtime)


def open_store(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> RequestStore:
    """Return the request store; its claims hold for as long as an answer of this model can take."""
    folder = Path(runtime["cache"]) / "requests"
    limits = runtime["llm"].get("limits")
    if llm["api"] in HERE or limits is None:
        return RequestStore(folder)
    seconds = (limits["deadline"] + _SLACK) * limits["tries"] + 2 * limits["longest_wait"]
    if llm["api"] == "batch":
        seconds += _LONGEST_BATCH * limits["tries"]
    return RequestStore(folder, lifetime=max(seconds, RequestStore.lifetime))


def abilities(llm: Mapping[str, Any], runtime: Mapping[str, Any], client: Client) -> Abilities:
    """Return what a language model takes: known for those that run here, found out once for others.

    Raises:
        LlmError: If it has to be asked and gives no answer.
    """
    if llm["api"] in HERE:
        return _ABILITIES_HERE[llm["api"]]
    if llm["api"] != "batch":
        return find_abilities(client, main_path(llm))
    # A batch may take a day: its endpoint is asked directly.
    with Client(_hosted(llm, runtime), open_store(llm, runtime), offline=runtime["offline"]) as direct:
        found = find_abilities(direct, main_path(llm))
    client.usage.add(direct.usage)
    return found


def known_abilities(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Abilities | None:
    """Return what a language model takes, as far as that is known without asking it; None if it is not."""
    known = _ABILITIES_HERE.get(llm["api"])
    return known or recall_abilities(_hosted(llm, runtime), open_store(llm, runtime), main_path(llm))


def main_path(llm: Mapping[str, Any]) -> str:
    """Return the API that a language model is asked by for rows."""
    return CHAT if llm["api"] in ("chat", "batch") else COMPLETIONS


def ledger_path(runtime: Mapping[str, Any]) -> Path:
    """Return the file of what an experiment has spent, named by its folder of results."""
    return account_path(str(runtime["cache"]), str(runtime["results"]))


def _embedded(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    model = locate_model(llm["model"], Path(runtime["cache"]) / "models")
    return embedded_llm(model, llm["context"], runtime["threads"], llm["slots"])


def _transformers(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    folder = local_files(llm["model"], llm["revision"], offline=runtime["offline"])
    how = {name: llm[name] for name in ("dtype", "context", "batch_size")}
    identity = local_identity(folder, **how, cache=Path(runtime["cache"]) / "models")
    name = llm["model"].rstrip("/").rsplit("/", 1)[-1]
    return Llm(name, identity, lambda: open_local(folder, **how, threads=runtime["threads"]), tokenizer=TOKENIZE)


def _hosted(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    extra = dict(llm["extra"])
    if llm.get("reasoning_effort") is not None:
        extra["reasoning_effort"] = llm["reasoning_effort"]
    return Llm(
        llm["model"],
        {"base_url": llm["base_url"]},
        lambda: open_remote(_endpoint(llm, runtime)),
        extra,
        rate=_rate(runtime),
    )


def _batch(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Llm:
    store = open_store(llm, runtime)

    def find(key: str) -> Answer | None:
        record = store.get(key)
        return None if record is None else record.answer

    def build() -> BatchBackend:
        endpoint = _endpoint(llm, runtime)
        return BatchBackend(
            endpoint.base_url,
            endpoint.api_key,
            Path(runtime["cache"]) / "batches",
            find,
            rate=_rate(runtime),
            ledger=Ledger(ledger_path(runtime), Caps(**runtime["budget"])),
            tries=endpoint.tries,
            timing=Timing(poll=runtime["llm"]["poll"]),
        )

    return replace(_hosted(llm, runtime), open=lambda: closing(build()), remembers=True)


def _rate(runtime: Mapping[str, Any]) -> Rate | None:
    price = runtime["llm"]["price"]
    return None if price is None else Rate(price["input"], price["output"])


def _endpoint(llm: Mapping[str, Any], runtime: Mapping[str, Any]) -> Endpoint:
    rate = _rate(runtime)
    base_url = llm["base_url"]
    key = read_key(runtime["llm"]["key"], base_url, KEY_VARIABLE, KEY_FILE)
    return Endpoint(
        name=llm["model"],
        base_url=base_url,
        api_key=key,
        **runtime["llm"]["limits"],
        shared=str(Path(runtime["cache"]) / "limits"),
        ledger=str(ledger_path(runtime)),
        caps=runtime["budget"],
        rate=None if rate is None else {"input": rate.input, "output": rate.output},
    )
