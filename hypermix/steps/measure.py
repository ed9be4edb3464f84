"""The measures of the usable rows of one draw; here real rows, near-duplicates, embeddings and the judge meet."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hypermix.augment.quality import label, semantic, surface
from hypermix.augment.quality.catalog import LEAST, MEASURES, REAL
from hypermix.augment.quality.judge import judge, tell_apart
from hypermix.augment.quality.words import Words, encode_words
from hypermix.data.near import NearPair, find_near_duplicates
from hypermix.data.neighbor import shingle
from hypermix.seeding import child_generator, child_seed
from hypermix.stats.metric import ece
from hypermix.steps.real import Real

Found = dict[str, float | None]
"""Measures by their names."""

_MOST_TOLD_APART = 5000  # rows of each kind


@dataclass(frozen=True)
class Draw:
    """The usable synthetic rows of a draw, and what they are measured against.

    Attributes:
        rows: Usable rows, with the columns of ``synthetic``.
        real: Real rows.
        labels: The labels in label order.
        seed: The trial seed.
        embed: Embeds texts, (n_texts, width).
        most_embedded: The most texts that are embedded.
    """

    rows: pd.DataFrame
    real: Real
    labels: Sequence[str]
    seed: int
    embed: Callable[[Sequence[str]], NDArray[np.float64]]
    most_embedded: int

    def generator(self, what: str) -> random.Random:
        """Return the generator of one draw of rows."""
        return child_generator(self.seed, ("quality", what))


def measure(draw: Draw) -> Found:
    """Measure the usable rows of a draw; what cannot be measured is None or missing."""
    found: Found = {}
    with threadpool_limits(limits=1):  # what the job was granted; and results must not depend on it
        for part in PARTS.values():
            found |= part(draw)
    return found


def measure_copies(draw: Draw) -> Found:
    """Count the rows that are in the subsample, in their own prompt, or in test, word for word or nearly."""
    texts, real = draw.rows["text"].tolist(), draw.real
    further = real.further["text"].tolist() if len(real.further) >= LEAST else []
    both = [*texts, *further]
    n = len(texts)
    train, test = real.train["text"].tolist(), real.test["text"].tolist()
    copied, leaked = _find_copies(train, both), _find_copies(test, both)
    shown = dict(zip(real.train["id"], train, strict=True))
    from_prompt = sum(
        train[copied[row].train_row] in {shown.get(source) for source in sources}
        for row, sources in enumerate(draw.rows["source_ids"])
        if row in copied
    )
    found: Found = {"prompt_copy_rate": from_prompt / n}
    for name, pairs in (("copy", copied), ("leak", leaked)):
        found[f"{name}_rate"] = sum(pair.similarity == 1 for row, pair in pairs.items() if row < n) / n
        found[f"near_{name}_rate"] = sum(row < n for row in pairs) / n
        if further:
            found[f"{REAL}near_{name}_rate"] = sum(row >= n for row in pairs) / len(further)
    return found


def _find_copies(known: Sequence[str], texts: Sequence[str]) -> dict[int, NearPair]:
    """Return the known text that each text is a copy or a near copy of, by the place of the text."""
    batches = iter([pa.array(known, pa.large_string())])
    found = {pair.test_row: pair for pair in find_near_duplicates(batches, pa.array(texts, pa.large_string()))}
    wordless = {place: text for place, text in enumerate(texts) if not _has_words(text)}
    if wordless:  # near nothing but themselves
        places = {_mark(text): place for place, text in reversed([*enumerate(known)]) if not _has_words(text)}
        same = {place: places.get(_mark(text)) for place, text in wordless.items()}
        found |= {place: NearPair(other, place, 1.0) for place, other in same.items() if other is not None}
    return found


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _mark(text: str) -> bytes:
    """Return what texts are the same by, as the filters see them."""
    return shingle(text).tobytes()


def measure_surface(draw: Draw) -> Found:
    """Measure how varied the words are, and how long the texts."""
    texts = draw.rows["text"].tolist()
    further = draw.real.further["text"].tolist()
    train = encode_words(draw.real.train["text"].tolist())
    words = encode_words([*texts, *further])
    ours, theirs = words.rows(0, len(texts)), words.rows(len(texts), len(words))
    # Texts without a word, such as emoji, are told apart by their characters, as the filters do.
    found: Found = {"repeat_rate": 1 - len({*map(_mark, texts)}) / len(texts)}
    if len(train.codes):
        found["length_ratio"] = surface.mean_length(ours) / surface.mean_length(train)
    # Variety is compared on as many rows, words and bytes; without enough real rows there is nothing to compare with.
    alone = len(further) < MEASURES["distinct_1"]
    n = len(texts) if alone else min(len(texts), len(further))
    sides = [("", ours.rows(0, n), texts[:n]), (REAL, theirs.rows(0, n), further[:n])][: 1 if alone else 2]
    cut = surface.alike(sides[0][1], sides[-1][1])
    content = [surface.join(part) for _, _, part in sides]
    size = min(map(len, content))
    for place, (name, part, _) in enumerate(sides):
        found |= {f"{name}distinct_{length}": surface.distinct(cut[place], length) for length in (1, 2, 3)}
        found[f"{name}compression_ratio"] = surface.compression(content[place][:size]) if size else None
        found[f"{name}self_bleu"] = surface.self_bleu(part, draw.generator("self_bleu"))
    return found


def measure_meaning(draw: Draw) -> Found:
    """Measure distances of embeddings: among the rows, and to real ones of train and test."""
    if len(draw.rows) < MEASURES["embedding_diversity"]:
        return {}
    most = max(1, draw.most_embedded // 4)
    parts = [draw.rows["text"].tolist(), *(frame["text"].tolist() for frame in (draw.real.train, draw.real.test))]
    texts, train, test = (_some(draw, part, most) for part in parts)
    further = _some(draw, draw.real.further["text"].tolist(), len(texts))
    groups = [texts, further if len(further) >= MEASURES["embedding_diversity"] else [], train, test]
    vectors = draw.embed([text for group in groups for text in group])
    ends = np.cumsum([len(group) for group in groups])[:-1]
    synthetic, real, near_train, near_test = np.split(vectors, ends)
    return {
        f"{name}{measured}": value
        for name, group in (("", synthetic), (REAL, real))
        for measured, value in {
            "embedding_diversity": semantic.spread(group),
            "nearest_train_distance": semantic.nearest(group, near_train),
            "nearest_test_distance": semantic.nearest(group, near_test),
        }.items()
    }


def _some(draw: Draw, texts: Sequence[str], most: int) -> list[str]:
    if len(texts) <= most:
        return list(texts)
    return [texts[place] for place in sorted(draw.generator("embedded").sample(range(len(texts)), most))]


def measure_difference(draw: Draw) -> Found:
    """Measure how well synthetic rows can be told from real ones."""
    n = min(len(draw.rows), len(draw.real.further), _MOST_TOLD_APART)
    if n < MEASURES["discriminator_auc"]:
        return {}
    texts = [*_some(draw, draw.rows["text"].tolist(), n), *draw.real.further["text"].tolist()[:n]]
    seed = child_seed(draw.seed, ("quality", "folds"), bits=32)
    return {"discriminator_auc": tell_apart(encode_words(texts), n, seed)}


def measure_labels(draw: Draw) -> Found:
    """Measure how labels are shared out, how sure soft ones are, and whether the judge agrees."""
    labels = draw.rows["label"].tolist()
    found: Found = {"label_shift": label.shift(labels, draw.real.train["label"].tolist())}
    soft = _soft_labels(draw)
    if soft is not None:
        found["soft_label_entropy"] = label.entropy(soft)
    if len(draw.rows) < MEASURES["judge_agreement"]:
        return found
    words: Words = encode_words(
        [text for frame in (draw.real.known, draw.real.judged, draw.rows) for text in frame["text"]]
    )
    told = judge(words, draw.real.known["label"].tolist(), draw.real.judged["label"].tolist())
    if told is None:
        return found
    agreed = [ours == theirs for ours, theirs in zip(labels, told.labels, strict=True)]
    found |= {"judge_agreement": sum(agreed) / len(agreed), "judge_accuracy": told.accuracy}
    if soft is not None:
        order = {name: place for place, name in enumerate(draw.labels)}
        found["soft_label_ece"] = ece(np.array([order[name] for name in told.labels], dtype=np.int64), soft)
    return found


def _soft_labels(draw: Draw) -> NDArray[np.float64] | None:
    """Return the soft labels, (n_rows, n_labels); None if all are sure of one label or some are missing."""
    if len(draw.labels) < 2 or draw.rows["soft_label"].isna().any():
        return None
    found = np.array(draw.rows["soft_label"].tolist(), dtype=np.float64)
    return found if label.is_soft(found) else None


PARTS: Mapping[str, Callable[[Draw], Found]] = {
    "copies and leaks": measure_copies,
    "words": measure_surface,
    "embeddings": measure_meaning,
    "told from real rows": measure_difference,
    "labels and judge": measure_labels,
}
"""The measures by what they have in common."""
