"""The label words that an experiment asked with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypermix.augment.relabel import name_scored
from hypermix.augment.verbalizer import find_problems, words_from_json
from hypermix.config.model import Config


def list_labels(provenance: Mapping[Path, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the label order of each dataset."""
    return {str(made["keys"]["dataset"]): made["labels"] for made in provenance.values() if "labels" in made}


def list_words(config: Config, provenance: Mapping[Path, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List label, word and tokens by dataset and language model; without one, the words of the config."""
    found: dict[tuple[str, str | None], Any] = {
        (dataset, llm): made["words"] for dataset, llm, made in _asked(provenance)
    }
    known = {dataset for dataset, _ in found}
    for dataset, labels in list_labels(provenance).items():
        if dataset not in known:
            words = config.datasets[dataset].label_words
            found[dataset, None] = [[label, words.get(label, label), None] for label in labels]
    return [{"dataset": dataset, "llm": llm, "rows": rows} for (dataset, llm), rows in found.items()]


def tell_word_problems(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterator[str]:
    """Tell once for each dataset and language model what is wrong with its label words."""
    told = [
        f"{dataset}, {llm}: {problem}."
        for dataset, llm, made in _asked(provenance)
        if (source := name_scored(made["slices"]["augment"]["augmenter"])) is not None
        for problem in find_problems(words_from_json(made["words"]), source)
    ]
    yield from dict.fromkeys(told)


def _asked(provenance: Mapping[Path, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield dataset, language model and provenance of each file whose label words are known."""
    for made in provenance.values():
        if made.get("words"):
            yield str(made["keys"]["dataset"]), str(made["slices"]["augment"]["llm"]["name"]), made
