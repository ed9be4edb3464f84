"""The README's ways to open a folder of tables, as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from hypermix import tables
from hypermix.files import write_table
from hypermix.tables import METRICS
from tests.architecture.source import ROOT

RUN = "dataset=rt/subsample=24s/data_seed={seed}/augmenter={augmenter}/classifier=minilm/trial=4294967295"
COUNTS = ("n_train", "n_synthetic", "n_test", "steps", "best_epoch")
TO_PAIRS = {
    "pandas": "[*found.items()]",
    "polars": "found.rows()",
    "duckdb": "found.fetchall()",
}
"""How what each library gives becomes pairs of augmenter and mean."""


def examples() -> dict[str, tuple[str, str]]:
    """Return the import and the line that reads, by the package."""
    blocks = re.findall(r"```python\nimport (\w+)(.*)\n\n(.*)\n```", (ROOT / "README.md").read_text(encoding="utf-8"))
    return {package: (f"import {package}{rest}", line) for package, rest, line in blocks}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, float]]]:
    """Return what all examples find in one small folder of metrics, in one process."""
    folder = tmp_path_factory.mktemp("readers")
    for seed, (augmenter, accuracy) in enumerate([("none", 0.5), ("none", 0.75), ("gpt3mix", 0.875)], start=2**31):
        path = folder / "results" / "evaluate" / RUN.format(seed=seed, augmenter=augmenter) / "metrics.parquet"
        row = {**{name: [3] for name in COUNTS}, **{name: [0.25] for name in METRICS}, "accuracy": [accuracy]}
        write_table(path, tables.from_columns("metrics", row), {"keys": {"augmenter": augmenter}})
    lines = ["import json", "told = {}"]
    for package, (imported, line) in examples().items():
        lines += [imported, f"found = {line}", f"told[{package!r}] = {TO_PAIRS[package]}"]
    code = "\n".join([*lines, "print(json.dumps(told))"])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return {name: [(str(key), float(mean)) for key, mean in pairs] for name, pairs in json.loads(done.stdout).items()}


def test_each_reader_has_two_lines() -> None:
    assert examples().keys() == TO_PAIRS.keys()


@pytest.mark.parametrize("package", TO_PAIRS)
def test_keys_are_columns_and_numbers_are_those_written(told: dict[str, list[tuple[str, float]]], package: str) -> None:
    assert sorted(told[package]) == [("gpt3mix", 0.875), ("none", 0.625)]
