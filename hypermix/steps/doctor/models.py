"""The language models that a run asks: keys, endpoints, what they take, prices. One cheap request each, once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from hypermix.augment.base import AUGMENTERS, Material
from hypermix.augment.relabel import name_scored, relabel
from hypermix.config import experiment
from hypermix.config.augmenter import asked_llm
from hypermix.config.llm import KEY_FILE, KEY_VARIABLE, Budget, HostedLlm
from hypermix.config.model import Config
from hypermix.errors import AugmentError, HypermixError, LlmError
from hypermix.llm.catalog import Catalog, read_catalog
from hypermix.llm.client import Client
from hypermix.llm.embedded import locate_model
from hypermix.llm.ledger import Caps, Ledger
from hypermix.llm.local.files import local_files
from hypermix.llm.probe import describe, find_abilities, recall_abilities
from hypermix.llm.remote import read_key
from hypermix.llm.store import RequestStore
from hypermix.llm.usage import Usage
from hypermix.packages import LANGUAGE_MODELS, package_name
from hypermix.records import Abilities, Task
from hypermix.report.checkup import Finding, read_error
from hypermix.report.format import dollars
from hypermix.steps.augment import METHODS
from hypermix.steps.doctor.reach import SECONDS, within
from hypermix.steps.doctor.sources import check_model
from hypermix.steps.model import known_abilities, ledger_path, main_path, open_llm, open_store

REGISTERED = METHODS
"""The modules whose import registers the augmenters that are built here."""

_REACHED = 8.0
_PROBED = {"deadline": 60.0, "tries": 1, "longest_wait": 5.0}
"""How long a probe may take: a small server may load its model first."""

_SOON = 60
_STAND_INS = {"0": "first", "1": "second"}
"""Label words where the config names none: which labels there are, only the prepared rows tell."""


@dataclass(frozen=True)
class Asked:
    """A language model of the config, and who asks it.

    Attributes:
        name: Its key in `llms`.
        llm: Its settings of the stage augment.
        runtime: Its settings of the stage runtime, as a job has them.
        augmenters: The augmenters that ask it, each with the datasets that it does so for.
    """

    name: str
    llm: Mapping[str, Any]
    runtime: Mapping[str, Any]
    augmenters: Mapping[str, Sequence[str]]

    @property
    def about(self) -> str:
        """What its lines are about."""
        return f"llm {self.name}"


def asked_llms(config: Config) -> list[Asked]:
    """Return the language models that the runs of an experiment ask, in the order of the config.

    Raises:
        ConfigError: If the experiment has no runs.
    """
    used: dict[str, dict[str, list[str]]] = {}
    for key in experiment.runs(config):
        augmenter, dataset = str(key["augmenter"]), str(key["dataset"])
        llm = asked_llm(config.augmenters[augmenter])
        if llm is not None:
            datasets = used.setdefault(llm, {}).setdefault(augmenter, [])
            datasets += [] if dataset in datasets else [dataset]
    return [_describe(config, name, used[name]) for name in config.llms if name in used]


def _describe(config: Config, name: str, augmenters: Mapping[str, Sequence[str]]) -> Asked:
    first = next(iter(augmenters))
    llm = json.loads(experiment.augment_slice(config, augmenters[first][0], first))["llm"]
    return Asked(name, llm, experiment.augment_runtime(config, first, 1), augmenters)


def check_llm(config: Config, asked: Asked, *, again: bool, today: date) -> list[Finding]:
    """Check one language model.

    Args:
        config: The config.
        asked: Which one.
        again: Whether a hosted one is asked anew what it takes.
        today: The day, for models that will be shut down.
    """
    settings = config.llms[asked.name]
    if isinstance(settings, HostedLlm):
        found, takes = _check_hosted(asked, again=again, today=today)
        found = [*found, _check_price(asked), _tell_limits(asked)]
    else:
        found, takes = [_check_here(asked)], known_abilities(asked.llm, asked.runtime)
    if takes is not None:
        found += [_check_source(config, asked, augmenter, takes) for augmenter in asked.augmenters]
    return found


def _check_here(asked: Asked) -> Finding:
    model = asked.llm["model"]
    if asked.llm["api"] == "embedded":
        if package_name(model) is not None:
            return check_model(asked.about, model, None, LANGUAGE_MODELS)
        try:
            return Finding("ok", asked.about, f"{locate_model(model, Path(asked.runtime['cache']))} is there")
        except LlmError as error:
            return read_error(asked.about, error)
    revision = asked.llm["revision"]
    try:
        return Finding("ok", asked.about, f"{local_files(model, revision, offline=True)} is there")
    except LlmError as error:
        there = check_model(asked.about, model, revision, LANGUAGE_MODELS)
        # A folder that is there, or a part of a model in the cache, can lack weights.
        whole = there.level != "ok" or not (Path(model).expanduser().exists() or "cache" in there.told)
        return there if whole else read_error(asked.about, error)


def _check_hosted(asked: Asked, *, again: bool, today: date) -> tuple[list[Finding], Abilities | None]:
    """Check key, endpoint and abilities, up to what makes the next useless."""
    about = asked.about
    if asked.runtime["offline"]:
        takes = known_abilities(asked.llm, asked.runtime)
        known = f"it takes: {describe(takes)} (remembered)" if takes else "what it takes is not known"
        return [Finding("ok", about, f"offline: true, so that it is not asked; {known}")], takes
    try:
        key = _read_key(asked)
    except LlmError as error:
        return [_tell_no_key(asked, error)], None
    found = [Finding("ok", about, _tell_key(asked, key))]
    url = asked.llm["base_url"]
    try:
        catalog = within(_REACHED, lambda: read_catalog(url, key, SECONDS))
    except LlmError as error:
        return [*found, read_error(about, error)], None
    except TimeoutError:
        told = f"{url} cannot be reached (no answer in {_REACHED:g} s)"
        return [*found, Finding("to do", about, told, "check the llm's base_url, the network and the proxy")], None
    found.append(Finding("ok", about, f"{url} is reached"))
    try:
        takes, told = _probe(asked, again=again)
    except (HypermixError, OSError) as error:
        return [*found, _with_nearest(read_error(about, error), catalog, asked.llm["model"])], None
    listed = _check_listed(about, catalog, asked.llm["model"], today)
    return [*found, *listed, Finding("ok", about, f"it takes: {describe(takes)} ({told})")], takes


def _read_key(asked: Asked) -> str:
    """Return the key.

    Raises:
        LlmError: If it is not there. Who takes the key for its place has put it there, so a file that is not there is
            not named.
    """
    place = asked.runtime["llm"]["key"]
    if place is not None and place["file"] is not None and not _is_file(place["file"]):
        raise LlmError(f"llms.{asked.name}.key.file names no file; write the path of the file with the key there")
    return read_key(place, asked.llm["base_url"], KEY_VARIABLE, KEY_FILE)


def _tell_no_key(asked: Asked, error: LlmError) -> Finding:
    told, mark, advice = str(error).partition(": set ")
    if mark:
        return Finding("to do", asked.about, told, f"set {advice}")
    finding = read_error(asked.about, error)
    todo = finding.todo or f"put it there, or name another place with llms.{asked.name}.key"
    return replace(finding, todo=todo)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # a name that is longer than names may be
        return False


def _tell_key(asked: Asked, key: str) -> str:
    """Say where a key was found, as `read_key` looks for it; never a part of it."""
    place = asked.runtime["llm"]["key"]
    if not key:
        return "no key is sent"
    if place is None:
        try:
            read_key({"env": KEY_VARIABLE}, asked.llm["base_url"], KEY_VARIABLE, KEY_FILE)
            place = {"env": KEY_VARIABLE}
        except LlmError:
            place = {"file": KEY_FILE}
    where = f"the variable {place['env']}" if place.get("env") else f"the file {place['file']}"
    return f"its key is in {where}"


def _probe(asked: Asked, *, again: bool) -> tuple[Abilities, str]:
    """Return what an endpoint takes, and what it cost to know.

    Raises:
        LlmError: If it gives no answer.
    """
    runtime = dict(asked.runtime)
    limits = runtime["llm"]["limits"]
    patient = {**limits, **{name: min(limits[name], most) for name, most in _PROBED.items()}}
    runtime["llm"] = {**runtime["llm"], "limits": patient}
    # A batch may take a day: its endpoint is asked directly.
    direct = {**asked.llm, "api": "chat"} if asked.llm["api"] == "batch" else asked.llm
    model, store, path = open_llm(direct, runtime), open_store(direct, runtime), main_path(direct)
    known = None if again else recall_abilities(model, store, path)
    if known is not None:
        return known, "remembered, nothing was asked"
    if not again:
        with Client(model, store) as client:
            return find_abilities(client, path), _tell_cost(client)
    # In a store of its own: the old answers would be replayed. They go when there are new ones.
    with tempfile.TemporaryDirectory() as folder:
        fresh = RequestStore(Path(folder))
        with Client(model, fresh) as client:
            takes, told = find_abilities(client, path), _tell_cost(client)
        for record in filter(None, map(fresh.get, fresh.keys())):
            store.path(record.question.key).unlink(missing_ok=True)
            store.put(record)
    return takes, told


def _tell_cost(client: Client) -> str:
    usage: Usage = client.usage
    if not usage.paid:
        return "from a stored answer, nothing was asked"
    rate, tokens = client.llm.rate, usage.tokens_paid
    price = "price unknown" if rate is None else f"{dollars(rate.usd(tokens))} US dollars"
    requests = f"{usage.paid} request" + "s" * (usage.paid > 1)
    return f"asked now: {requests}, {tokens.prompt} prompt and {tokens.completion} answer tokens, {price}"


def _check_listed(about: str, catalog: Catalog, model: str, today: date) -> Iterator[Finding]:
    """Tell of a model that its endpoint does not list, or will not list for long; else nothing."""
    if not catalog.models:
        return
    known = catalog.find(model)
    if known is None:
        told = f"the endpoint does not list {model}, but answers"
        finding = Finding("warning", about, told, "check the llm's model, unless the server takes any name")
        yield _with_nearest(finding, catalog, model)
        return
    end = catalog.models[known]
    if end is not None and (end - today).days <= _SOON:
        told = f"{model} is shut down on {end.isoformat()}, in {max(0, (end - today).days)} days"
        yield Finding("warning", about, told, "finish before, or set another model; a new model has new answers")


def _with_nearest(finding: Finding, catalog: Catalog, model: str) -> Finding:
    """Name the listed model that is most like one that is not listed."""
    if not catalog.models or catalog.find(model) is not None:
        return finding
    nearest = catalog.nearest(model)
    hint = f"did you mean {nearest!r}?" if nearest else f"its {len(catalog.models)} models have other names"
    return replace(finding, todo=f"{finding.todo} ({hint})")


def _check_price(asked: Asked) -> Finding:
    price, about = asked.runtime["llm"]["price"], asked.about
    if price is None:
        todo = f"write llms.{asked.name}.price, with zeros for a server of your own"
        return Finding("warning", about, "price unknown, a dollar cap is not possible", todo)
    told = f"price: {price['input']:g} and {price['output']:g} US dollars a million tokens of prompts and answers"
    return Finding("ok", about, f"{told}, as of {price['as_of']}")


def _tell_limits(asked: Asked) -> Finding:
    limits = asked.runtime["llm"]["limits"]
    minute = {"requests": limits["requests_per_min"], "tokens": limits["tokens_per_min"]}
    told = [f"{most:g} {unit} a minute" for unit, most in minute.items() if most is not None]
    listed = ", ".join([f"{limits['concurrency']} requests at once", *(told or ["no limit a minute"])])
    return Finding("ok", asked.about, f"limits: {listed}")


def _check_source(config: Config, asked: Asked, augmenter: str, takes: Abilities) -> Finding:
    """Check that an augmenter's soft labels can be had from what an endpoint takes."""
    about = f"augmenter {augmenter}"
    for dataset in asked.augmenters[augmenter]:
        parts = json.loads(experiment.augment_slice(config, dataset, augmenter))
        settings, task = parts["augmenter"], parts["task"]
        words = task["label_words"] if len(task["label_words"]) > 1 else _STAND_INS
        worded = Task(task["text_type"], task["label_type"], dict(sorted(words.items())))
        try:
            material = Material([], worded, 0, takes)
            # One that asks nobody itself has nothing to check but its relabeling.
            asks = getattr(config.augmenters[augmenter], "llm", None) is not None
            built = AUGMENTERS.get(settings["method"] if asks else "none")(settings, material)
            if settings.get("relabel") is not None:
                relabel(built, settings["relabel"], material, _no_label)
        except AugmentError as error:
            return read_error(about, error)
    source = name_scored(settings)
    if source is None:
        return Finding("ok", about, f"method: {settings['method']} is possible with {asked.name}")
    return Finding("ok", about, f"label_source: {source} is possible with {asked.name}")


def _no_label(text: str) -> Sequence[float]:  # noqa: ARG001 - no text is shown to it
    """Stand in the place of a classifier, which needs no check."""
    return ()


def check_budget(config: Config, asked: Sequence[Asked]) -> Finding:
    """Tell the caps, and what is spent of them.

    Args:
        config: The config.
        asked: The language models that are asked.
    """
    about, budget = "budget", config.budget
    hosted = [one for one in asked if isinstance(config.llms[one.name], HostedLlm)]
    if not hosted:
        return Finding("ok", about, "no model behind a URL is asked: nothing is spent")
    try:
        spent = Ledger(ledger_path(hosted[0].runtime), Caps()).spent()
    except LlmError as error:
        return read_error(about, error)
    units = {"usd": "US dollars", "requests": "requests", "tokens": "tokens"}
    shown = {name: dollars(spent.usd) if name == "usd" else f"{getattr(spent, name)}" for name in units}
    told = "spent so far: " + ", ".join(f"{shown[name]}{_of(budget, name)} {unit}" for name, unit in units.items())
    full = [name for name in units if (cap := getattr(budget, name)) is not None and getattr(spent, name) >= cap]
    if full:
        return Finding("to do", about, told, f"raise budget.{full[0]}: it is used up, and a run would stop at once")
    capped = any(getattr(budget, name) is not None for name in units)
    return Finding("ok", about, told if capped else f"{told}; no cap is set")


def _of(budget: Budget, name: str) -> str:
    cap = getattr(budget, name)
    return "" if cap is None else f" of {cap:g}"
