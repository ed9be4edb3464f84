"""What no single setting shows: names that lead nowhere, and settings that do not fit each other."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from hypermix.config.llm import HOSTED_APIS
from hypermix.errors import accepted
from hypermix.names import KEY_NAMES, is_url

SPLITS = ("train", "validation", "test")
"""The keys of a dataset that may name a file."""

_SECRET = re.compile(r"://[^/?#]*@|[?&#][^=&]*(token|key|sig|secret|pass|pwd|auth|cred)[^=&]*=", re.IGNORECASE)
"""A user or a parameter of a URL that looks like a secret."""

EXPORTED = ("finetune", "tmix")
"""The methods of classifiers that train a model which transformers loads."""

BOUNDS = ("real", "shuffle")
"""The methods of augmenters that show what can be gained and lost at most; nobody wants a model of theirs."""

_SECTION_OF = {"dataset": "datasets", "augmenter": "augmenters", "classifier": "classifiers"}
"""Where the variants stand that a part of a run's key names."""

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_COMPRESSED = (".gz", ".zst")

_APIS_OF_SOURCE = {"scoring": ("completions", "transformers"), "decisions": ("chat",)}
"""The kinds of endpoint that can give a label source, where not all can."""


def find_mistakes(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find the mistakes that lie between settings; works on a config that has other mistakes too.

    Args:
        raw: A config, with what the registry of datasets adds.

    Yields:
        One line a mistake.
    """
    yield from _unknown_names(raw)
    yield from _repeated(raw)
    yield from _unreadable(raw)
    yield from _unlike_sources(raw)
    yield from _unpriced(raw)


def augmenters_in_use(augmenters: Iterable[str], only: object, left_out: object) -> list[str]:
    """Return the augmenters that `only` and `except` do not take away as a whole.

    Args:
        augmenters: The names of all.
        only: The entries of `only`.
        left_out: The entries of `except`.
    """
    wanted = [entry.get("augmenter") for entry in _items(only) if isinstance(entry, Mapping)]
    gone = [
        entry["augmenter"] for entry in _items(left_out) if isinstance(entry, Mapping) and [*entry] == ["augmenter"]
    ]
    return [name for name in augmenters if name not in gone and (not wanted or name in wanted or None in wanted)]


def _unknown_names(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find names that point to nothing; works on a config that has other mistakes too."""
    augmenters = _section(raw, "augmenters")
    llms = _names(raw, "llms")
    for name in augmenters:
        for where, llm in _asked(augmenters, name).items():
            if llm not in llms:
                yield f"augmenters.{name}.{where}: {llm!r} is no key of llms; {accepted(llm, llms)}"
    for name, classifier in _section(raw, "classifiers").items():
        match = classifier.get("match") if isinstance(classifier, Mapping) else None
        if isinstance(match, str) and match not in augmenters:
            yield f"classifiers.{name}.match: {match!r} is no key of augmenters; {accepted(match, augmenters)}"
    for position, name in enumerate(_items(_section(raw, "report").get("baselines"))):
        if name not in (known := _names(raw, "augmenters")):
            yield f"report.baselines[{position}]: {name!r} is no key of augmenters; {accepted(str(name), known)}"
    yield from _unknown_exports(raw)
    for section in ("only", "except"):
        for position, partial in enumerate(_items(raw.get(section))):
            if isinstance(partial, Mapping):
                yield from _unknown_in_key(f"{section}[{position}]", partial, raw)


def _unknown_exports(raw: Mapping[str, Any]) -> Iterator[str]:
    for key, section in _SECTION_OF.items():
        name = _section(raw, "export").get(key)
        if isinstance(name, str) and name not in (known := _names(raw, section)):
            yield f"export.{key}: {name!r} is no key of {section}; {accepted(name, known)}"
    augmenter = _section(raw, "export").get("augmenter")
    made = _section(_section(raw, "augmenters"), augmenter).get("method") if isinstance(augmenter, str) else None
    if made in BOUNDS:
        yield (
            f"export.augmenter: {augmenter!r} is of method {made}, a control that others are held against; wanted is "
            "another, or null"
        )
    classifier = _section(raw, "export").get("classifier")
    method = _section(_section(raw, "classifiers"), classifier).get("method") if isinstance(classifier, str) else None
    if isinstance(method, str) and method not in EXPORTED:
        yield (
            f"export.classifier: {classifier!r} is of method {method}, which writes no model of transformers; wanted "
            f"is one of method {' or '.join(EXPORTED)}"
        )


def _unknown_in_key(where: str, partial: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[str]:
    for key, value in partial.items():
        if key not in KEY_NAMES:
            yield f"{where}.{key}: unknown key; {accepted(str(key), KEY_NAMES)}"
        elif key in _SECTION_OF and value not in (known := _names(raw, _SECTION_OF[key])):
            yield f"{where}.{key}: {value!r} is no key of {_SECTION_OF[key]}; {accepted(str(value), known)}"


def _repeated(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find entries that stand twice in a list whose entries are parts of a path."""
    lists = {
        "subsample.train": _section(raw, "subsample").get("train"),
        "seeds.data": _section(raw, "seeds").get("data"),
        "seeds.trials": _section(raw, "seeds").get("trials"),
    }
    for where, value in lists.items():
        entries = _items(value)
        for position, entry in enumerate(entries):
            if entry in entries[:position]:
                yield f"{where}[{position}]: {entry!r} stands there twice; each entry may stand there once"


def _unreadable(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find encodings that Python does not know, URLs with secrets, and files whose format nothing tells."""
    for name, dataset in _section(raw, "datasets").items():
        if not isinstance(dataset, Mapping) or dataset.get("source") != "file":
            continue
        where = f"datasets.{name}"
        encoding = dataset.get("encoding")
        if isinstance(encoding, str) and not _is_encoding(encoding):
            yield f"{where}.encoding: Python knows no encoding {encoding!r}; wanted is one such as utf-8 or cp1252"
        paths = {split: path for split in SPLITS if isinstance(path := dataset.get(split), str) and path}
        for split, path in paths.items():
            if path.lower().startswith("file://"):
                yield f"{where}.{split}: {path!r} is a URL of this machine; wanted is the path alone"
            elif is_url(path) and _SECRET.search(path):
                yield (
                    f"{where}.{split}: the URL holds a password or a key, which would stand in the results and the "
                    "report; wanted is one without, or a file that you downloaded"
                )
        if dataset.get("format") is None:
            yield from (
                f"{where}.{split}: {path!r} does not tell its format; wanted is a name that ends in "
                f"{', '.join(_SUFFIXES)} (.gz or .zst may follow), or the key format beside it"
                for split, path in paths.items()
                if _format_suffix(path) not in _SUFFIXES
            )


def _is_encoding(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):  # a name may hold a null byte
        return False
    return getattr(codec, "_is_text_encoding", True)  # rot13 and base64 are no encodings of a file


def _format_suffix(path: str) -> str:
    try:
        name = PurePosixPath(urlsplit(path).path if is_url(path) else path)
    except ValueError:  # a broken address in brackets
        return ""
    return name.with_suffix("").suffix if name.suffix in _COMPRESSED else name.suffix


def _unlike_sources(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find label sources that the endpoint of an augmenter cannot give."""
    llms = _section(raw, "llms")
    for name, augmenter in _section(raw, "augmenters").items():
        if not isinstance(augmenter, Mapping):
            continue
        source, llm = augmenter.get("label_source"), augmenter.get("llm")
        apis = _APIS_OF_SOURCE.get(source) if isinstance(source, str) else None
        api = _api(llms, llm)
        if apis and api is not None and api not in apis:
            yield (
                f"augmenters.{name}.label_source: {source!r} stands there; an endpoint with api: {api}, such as "
                f"llms.{llm}, cannot give it; wanted is one with api: {' or '.join(apis)}, or another source"
            )


def _unpriced(raw: Mapping[str, Any]) -> Iterator[str]:
    """Find hosted models without a price that a cap in dollars is to hold for."""
    if _section(raw, "budget").get("usd") is None:
        return
    llms, augmenters = _section(raw, "llms"), _section(raw, "augmenters")
    used = augmenters_in_use(augmenters, raw.get("only"), raw.get("except"))
    exported = _section(raw, "export").get("augmenter")
    named = [name for name in augmenters if name in used or name == exported]
    asked = [llm for name in named for llm in _asked(augmenters, name).values()]
    for name, llm in llms.items():
        if name in asked and _api(llms, name) in HOSTED_APIS and llm.get("price") is None:
            yield (
                f"llms.{name}.price: must be given, since budget.usd caps the dollars: "
                "price: {input: DOLLARS, output: DOLLARS, as_of: DAY}, for a million tokens; or take budget.usd away"
            )


def _asked(augmenters: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the language models that an augmenter names, by the key."""
    own = _section(augmenters, name)
    named = {"llm": own.get("llm"), "relabel.llm": _section(own, "relabel").get("llm")}
    return {where: llm for where, llm in named.items() if isinstance(llm, str)}


def _api(llms: Mapping[str, Any], name: object) -> str | None:
    llm = llms.get(name) if isinstance(name, str) else None
    api = llm.get("api") if isinstance(llm, Mapping) else None
    return api if isinstance(api, str) else None


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, Mapping) else {}


def _names(raw: Mapping[str, Any], section: str) -> list[str]:
    return [str(name) for name in _section(raw, section)]


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
