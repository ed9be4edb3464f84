"""The preset for a user's own CSV: complete as it stands, and hosted after the change that it describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hypermix.config import experiment
from hypermix.config.load import load_config, merge
from hypermix.config.model import Config

CONFIG = Path(__file__).resolve().parents[3] / "config"
PRESET = CONFIG / "presets" / "my-csv.yaml"


def over_default(text: str) -> Config:
    default: dict[str, Any] = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
    return load_config(merge(default, yaml.safe_load(text)))


def test_own_csv_is_the_only_dataset_and_needs_no_key() -> None:
    config = over_default(PRESET.read_text(encoding="utf-8"))

    assert [*config.datasets] == ["mine"]
    assert {llm.api for llm in config.llms.values()} == {"embedded"}
    assert len(experiment.data_seeds(config)) == 7


def test_three_changed_lines_make_it_hosted() -> None:
    """As its comment says: the marks of two lines go, and one name changes."""
    lines = PRESET.read_text(encoding="utf-8").splitlines()
    changed = [
        line.removeprefix("# ").replace("llm: local", "llm: luna")
        if line.startswith(("# llms:", "# budget:", "  gpt3mix:"))
        else line
        for line in lines
    ]
    config = over_default("\n".join(changed))

    assert sum(old != new for old, new in zip(lines, changed, strict=True)) == 3
    assert experiment.augment_runtime(config, "gpt3mix", 1)["llm"]["price"]["input"] == 0.1
    assert config.budget.usd == 2.0


def test_what_is_offered_in_comments_is_a_setting() -> None:
    """Lines of the dataset that wait behind a mark."""
    text = PRESET.read_text(encoding="utf-8")
    offered = [line for line in text.splitlines() if line.startswith("    # ")]
    config = over_default(re.sub(r"(?m)^    # ", "    ", text))

    assert len(offered) == 4
    assert config.datasets["mine"].label_words == {"1": "bad", "5": "good"}
    assert getattr(config.datasets["mine"], "separator") == ";"  # noqa: B009 - not every dataset has one
