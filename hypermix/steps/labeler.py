"""A classifier of the real rows that tells the labels of synthetic ones: a linear head on frozen embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermix.errors import AugmentError
from hypermix.hub import commit_of
from hypermix.records import Example
from hypermix.steps.embedding import Embedder

if TYPE_CHECKING:
    from hypermix.classify.probe import Head

_PENALTY = 0.1
"""What the classifier `probe` takes where no validation rows decide."""

_LONGEST = 512
"""Tokens after which a text is cut, if the encoder takes as many."""


def describe_encoder(settings: Mapping[str, Any], *, offline: bool) -> dict[str, Any]:
    """Return what the provenance says of the encoder: the checksums of its weights, and its commit on the hub.

    Args:
        settings: The section `relabel` of an augmenter.
        offline: Whether the hub is not asked.

    Raises:
        TrainError: If the model cannot be had.
    """
    from hypermix.classify.model import locate_model, weights_digests

    folder = locate_model(settings["model"], settings["revision"], offline=offline)
    return {"weights": weights_digests(folder), "commit": commit_of(Path(folder))}


class Labeler:
    """Tells the label of one text at a time, so that it depends on no other. It learns when it is first asked.

    Args:
        settings: The section `relabel` of an augmenter.
        examples: The real rows.
        labels: All labels, in label order.
        offline: Whether the hub is not asked for the encoder.
    """

    def __init__(
        self, settings: Mapping[str, Any], examples: Sequence[Example], labels: Sequence[str], *, offline: bool
    ) -> None:
        self._settings = settings
        self._examples = examples
        self._labels = list(labels)
        self._offline = offline

    def __call__(self, text: str) -> Sequence[float]:
        """Return the probability of each label.

        Raises:
            AugmentError: If there are no real rows to learn from.
            TrainError: If the encoder cannot be loaded.
        """
        found: list[float] = self._head.predict(self._embed([text]))[0].tolist()
        return found

    @cached_property
    def _embed(self) -> Embedder:
        model, revision = self._settings["model"], self._settings["revision"]
        return Embedder(model, revision, threads=1, offline=self._offline, longest=_LONGEST)

    @cached_property
    def _head(self) -> Head:
        from hypermix.classify.probe import fit_probe

        if not self._examples:
            raise AugmentError("relabel.by: classifier learns from real rows, and the subsample has none")
        vectors = self._embed([example.text for example in self._examples])
        places = [self._labels.index(example.label) for example in self._examples]
        targets = np.eye(len(self._labels), dtype=np.float32)[places]
        nothing = np.zeros((0, vectors.shape[1]))
        return fit_probe(vectors, targets, nothing, np.zeros(0, np.int64), [_PENALTY]).head
