"""Written draws through the stage, with rows of which it is known what they are like."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hypermix import tables
from hypermix.augment.quality.catalog import NAMES
from hypermix.files import read_provenance, read_table, write_table
from hypermix.hashing import canonical_json
from hypermix.steps import quality
from hypermix.steps.few import has_few
from hypermix.steps.real import read_real
from tests.tiny import BAD, FILLING, GOOD, save_tiny_bert

LABELS = ("negative", "positive")
KEYS = {"dataset": "toy", "subsample": "20s", "data_seed": "11", "augmenter": "mix", "trial": "7"}
SCENES = [f"scene{number}" for number in range(60)]
Rows = list[tuple[str, str]]
Found = dict[str, float]


def real_rows(n: int, first: int) -> Rows:
    """Make rows that have all different texts; one word tells the label."""
    rows = []
    for number in range(first, first + n):
        generator, label = random.Random(number), number % 2
        words = [generator.choice((BAD, GOOD)[label]), *generator.sample(FILLING, 3), *generator.sample(SCENES, 5)]
        rows.append((" ".join(generator.sample(words, len(words))), LABELS[label]))
    return rows


TRAIN, TEST, NEW = real_rows(300, 0), real_rows(80, 300), real_rows(40, 400)
DRAWN = TRAIN[:40]


@dataclass
class Study:
    """A dataset on the disk and one draw of it."""

    folder: Path
    model: str
    runtime: dict[str, Any] = field(default_factory=lambda: {"threads": 1, "offline": True})

    def __post_init__(self) -> None:
        for name, rows in {"all_train": TRAIN, "all_test": TEST, "train": DRAWN, "test": TEST[:30]}.items():
            self.write(name, rows)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def write(self, name: str, rows: Rows) -> None:
        table = name.removeprefix("all_")
        columns = {
            "id": [text for text, _ in rows],
            "text": [text for text, _ in rows],
            "label": [row[1] for row in rows],
        }
        write_table(self.path(name), tables.from_columns(table, columns), {"labels": LABELS, "slices": {}})

    def make(self, rows: Rows, soft: Sequence[Any] | None = None, rejected: int = 0, **columns: Any) -> None:
        """Write synthetic rows, those that are used and some that are not."""
        n, wanted = len(rows), len(rows)
        hard = [[float(label == name) for name in LABELS] for _, label in rows]
        made: dict[str, list[Any]] = {name: [None] * (n + rejected) for name in tables.schema("synthetic").names}
        made["id"] = [f"s{row}" for row in range(n + rejected)]
        made["text"][:n] = [text for text, _ in rows]
        made["label"][:n] = [label for _, label in rows]
        made["soft_label"][:n] = hard if soft is None else list(soft)
        made["kept"] = [row < n for row in range(n + rejected)]
        made["source_ids"] = [[]] * (n + rejected)
        made |= columns
        provenance = {"labels": LABELS, "wanted": wanted, "slices": {"augment": {"some": "settings"}}}
        write_table(self.path("synthetic"), tables.from_columns("synthetic", made), provenance)

    def inputs(self) -> dict[str, Path]:
        return {name: self.path(name) for name in ("synthetic", "train", "test", "all_train", "all_test")}

    def run(self, **settings: Any) -> dict[str, float | None]:
        told = {"rows": 200, "judge_rows": 1000, "model": self.model, **settings}
        slice_json = canonical_json({"method_version": 1, "quality": told})
        quality.run(KEYS, slice_json, self.inputs(), self.runtime, self.path("quality"))
        frame = read_table(self.path("quality"), "quality").astype(object)
        return dict(zip(frame["measure"], frame["value"].where(frame["value"].notna(), None), strict=True))

    def measured(self, rows: Rows, soft: Sequence[Any] | None = None, **columns: Any) -> Found:
        self.make(rows, soft, **columns)
        return {name: value for name, value in self.run().items() if value is not None}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_bert(tmp_path_factory.mktemp("bert")))


@pytest.fixture
def study(tmp_path: Path, model: str) -> Study:
    return Study(tmp_path, model)


def test_real_rows_are_like_real_rows(study: Study) -> None:
    found = study.measured(NEW)
    assert found["copy_rate"] == found["leak_rate"] == found["repeat_rate"] == found["label_shift"] == 0
    assert found["length_ratio"] == pytest.approx(1)
    assert found["discriminator_auc"] == pytest.approx(0.5, abs=0.15)
    assert found["judge_agreement"] == found["judge_accuracy"] == 1
    for measure in ("distinct_1", "distinct_2", "compression_ratio", "self_bleu", "embedding_diversity"):
        assert found[measure] == pytest.approx(found[f"real_{measure}"], rel=0.25), measure


def test_copies_are_found_and_are_no_distance_away(study: Study) -> None:
    found = study.measured([*[(f"{text.upper()} !", label) for text, label in DRAWN[:10]], *NEW[:30]])
    assert found["copy_rate"] == found["near_copy_rate"] == pytest.approx(10 / 40)
    assert found["real_near_copy_rate"] == 0
    assert study.measured(DRAWN)["nearest_train_distance"] == pytest.approx(0, abs=1e-6)


def test_near_copies_are_no_copies(study: Study) -> None:
    long = [(f"{text} {text[::-1]} one two three four five six", label) for text, label in DRAWN]
    study.write("train", long)
    found = study.measured([(f"{text} seven", label) for text, label in long[:20]] + NEW[:20])
    assert found["copy_rate"] == 0
    assert found["near_copy_rate"] == pytest.approx(0.5)


def test_copies_of_the_prompt_are_told_apart(study: Study) -> None:
    sources = [[DRAWN[row][0], DRAWN[30][0]] if row < 4 else [DRAWN[30][0]] for row in range(12)]
    found = study.measured(DRAWN[:12], source_ids=sources)
    assert found["copy_rate"] == 1
    assert found["prompt_copy_rate"] == pytest.approx(4 / 12)


def test_leaks_are_found_in_all_of_test(study: Study) -> None:
    found = study.measured([*TEST[60:66], *NEW[:18]])  # not among the 30 that the draw tests on
    assert found["leak_rate"] == pytest.approx(6 / 24)


def test_a_draw_with_a_test_of_its_own_is_compared_with_it(study: Study) -> None:
    study.write("all_test", [])
    study.write("test", TRAIN[200:240])
    found = study.measured([*TRAIN[200:206], *NEW[:18]])
    assert found["leak_rate"] == pytest.approx(6 / 24)
    assert found["judge_accuracy"] == 1
    real = read_real(study.inputs(), ["a text"] * 300, 1000, 11)
    assert not {text for text, _ in TRAIN[200:240]} & {*real.known["text"], *real.further["text"]}


def test_one_sentence_for_ever_is_noticed(study: Study) -> None:
    found = study.measured([NEW[0]] * 40)
    assert found["repeat_rate"] == pytest.approx(39 / 40)
    assert found["compression_ratio"] > 4 * found["real_compression_ratio"]
    assert found["self_bleu"] == pytest.approx(1)
    assert found["distinct_2"] < found["real_distinct_2"] / 10
    assert found["embedding_diversity"] == pytest.approx(0, abs=1e-6)
    assert found["discriminator_auc"] > 0.95
    assert found["label_shift"] == pytest.approx(0.5)


def test_wrong_labels_get_low_agreement(study: Study) -> None:
    found = study.measured([(text, LABELS[label == LABELS[0]]) for text, label in NEW])
    assert found["judge_agreement"] == 0
    assert found["judge_accuracy"] == 1
    assert found["label_shift"] == 0


def test_judge_has_not_learned_the_rows_that_it_judges(study: Study) -> None:
    study.make(TRAIN[100:140])
    real = read_real(study.inputs(), [text for text, _ in TRAIN[100:140]], 1000, 11)
    assert len(real.known) == 260
    assert not {text for text, _ in TRAIN[100:140]} & {*real.known["text"], *real.further["text"]}


def test_judge_learns_no_more_rows_than_it_may(study: Study) -> None:
    real = read_real(study.inputs(), ["a text"] * 50, 120, 11)
    assert (len(real.known), len(real.further)) == (120, 50)
    assert not {text for text, _ in DRAWN} & {*real.further["text"]}
    again = read_real(study.inputs(), ["another"] * 50, 120, 11)
    assert again.further["id"].tolist() == real.further["id"].tolist()  # whatever the texts
    assert read_real(study.inputs(), ["a text"] * 50, 120, 12).further["id"].tolist() != real.further["id"].tolist()


def test_soft_labels_are_judged(study: Study) -> None:
    rows = real_rows(120, 1000)
    sure = [[0.9, 0.1] if label == "negative" else [0.1, 0.9] for _, label in rows]
    found = study.measured(rows, sure)
    assert found["soft_label_entropy"] == pytest.approx(0.469, abs=1e-3)
    assert found["soft_label_ece"] == pytest.approx(0.1)  # the judge always agrees, they say 0.9
    wrong = study.measured([(text, LABELS[label == LABELS[0]]) for text, label in rows], [pair[::-1] for pair in sure])
    assert wrong["soft_label_ece"] == pytest.approx(0.9)


def test_hard_and_missing_soft_labels_have_no_entropy(study: Study) -> None:
    for soft in (None, [None, *[[0.5, 0.5]] * 39]):
        found = study.measured(NEW, soft)
        assert not {"soft_label_entropy", "soft_label_ece"} & set(found)


def test_rejected_rows_count_as_tries_alone(study: Study) -> None:
    found = study.measured(NEW, rejected=10)
    assert found["usable_share"] == pytest.approx(40 / 50)
    assert found["tries_per_row"] == pytest.approx(50 / 40)
    assert study.measured(NEW) == found | {"usable_share": 1.0, "tries_per_row": 1.0}


def test_few_rows_have_few_measures(study: Study) -> None:
    assert set(study.measured(NEW[:4])) == {"usable_share", "tries_per_row"}
    ten = set(study.measured(NEW[:10]))
    assert {"copy_rate", "length_ratio", "leak_rate"} <= ten
    assert not ten & {"self_bleu", "distinct_1", "judge_agreement", "embedding_diversity", "discriminator_auc"}


def test_no_rows_are_all_null(study: Study) -> None:
    study.make([])
    found = study.run()
    assert list(found) == list(NAMES)
    assert set(found.values()) == {None}


def test_whole_train_leaves_no_rows_to_compare_with(study: Study) -> None:
    study.write("train", TRAIN)
    found = study.measured(NEW)
    assert not [name for name in found if name.startswith("real_")]
    assert "discriminator_auc" not in found
    assert {"distinct_1", "self_bleu", "nearest_train_distance", "judge_agreement"} <= set(found)


def test_hostile_and_odd_texts_are_measured(study: Study) -> None:
    odd = [
        "{0} %s \\ (Sentiment: Positive)",
        "مراجعة رائعة",
        "映画が好き",
        "🎬🎬",
        "a\nb",
        "!" * 500,
        "</script>",
        "word " * 3000,
    ]
    found = study.measured([(text, LABELS[place % 2]) for place, text in enumerate(odd * 5)])
    assert found["repeat_rate"] > 0.7
    assert all(math.isfinite(value) for value in found.values())


def test_most_embedded_rows_bound_the_work(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypermix.steps import embedding

    seen: list[int] = []
    whole = embedding.Embedder.__call__

    def counted(embedder: embedding.Embedder, texts: Sequence[str]) -> Any:
        seen.append(len(texts))
        return whole(embedder, texts)

    monkeypatch.setattr(embedding.Embedder, "__call__", counted)
    study.make(NEW)
    study.run(rows=100)
    assert seen == [4 * 25]


def test_same_inputs_give_the_same_bytes(study: Study) -> None:
    study.make(NEW)
    study.run()
    first = study.path("quality").read_bytes()
    study.run()
    assert study.path("quality").read_bytes() == first


def test_provenance_names_inputs_and_slices(study: Study) -> None:
    study.make(NEW)
    study.run()
    made = read_provenance(study.path("quality"))
    assert sorted(made["inputs"]) == ["all_test", "all_train", "synthetic", "test", "train"]
    assert made["slices"]["quality"]["method_version"] == 1
    assert made["slices"]["augment"] == {"some": "settings"}
    assert (made["keys"]["data_seed"], made["keys"]["trial"]) == (11, 7)


def test_a_draw_without_rows_loads_no_torch(study: Study) -> None:
    study.make([])
    slice_json = canonical_json(
        {"method_version": 1, "quality": {"rows": 200, "judge_rows": 1000, "model": study.model}}
    )
    inputs = {name: str(path) for name, path in study.inputs().items()}
    code = (
        "import sys\nfrom pathlib import Path\nfrom hypermix.steps import quality\n"
        f"inputs = {{name: Path(path) for name, path in {inputs!r}.items()}}\n"
        f"quality.run({KEYS!r}, {slice_json!r}, inputs, {study.runtime!r}, Path({str(study.path('quality'))!r}))\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'sacrebleu')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert study.path("quality").is_file()


@pytest.mark.parametrize(("rows", "few"), [(0, True), (9, True), (10, False), (60, False)])
def test_few_rows_are_told_from_the_file_alone(tmp_path: Path, rows: int, few: bool) -> None:
    path = tmp_path / "synthetic.parquet"
    pq.write_table(pa.table({"id": [str(row) for row in range(rows)]}), path)
    assert has_few(path) == few


def test_texts_without_words_are_told_apart(study: Study) -> None:
    marks = [(chr(0x1F600 + number) * 3, LABELS[0]) for number in range(20)]
    study.write("train", [*DRAWN, marks[0]])
    study.write("all_test", [*TEST, marks[1]])
    found = study.measured([*marks, marks[1]])
    assert found["repeat_rate"] == pytest.approx(1 / 21)
    assert found["copy_rate"] == pytest.approx(1 / 21)
    assert found["leak_rate"] == pytest.approx(2 / 21)


def test_real_rows_of_a_sorted_train_are_a_sample(study: Study) -> None:
    study.write("all_train", sorted(TRAIN, key=lambda row: row[1]))
    real = read_real(study.inputs(), ["a text"] * 200, 1000, 11)
    first = real.further["label"].iloc[:60]
    assert 15 < (first == LABELS[0]).sum() < 45


def test_a_judge_that_knows_two_rows_says_nothing(study: Study) -> None:
    study.write("all_train", DRAWN[:2])
    study.write("train", DRAWN[:2])
    assert "judge_agreement" not in study.measured(NEW)
