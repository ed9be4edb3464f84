"""What docs/augmenters.md shows does what it says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from hypermix.augment import custom, template
from hypermix.augment.base import AUGMENTERS, Material, Slot
from hypermix.config import experiment
from hypermix.config.load import check_files, load_config, merge
from hypermix.config.model import Config
from hypermix.records import Abilities
from tests.extending import write_metadata
from tests.unit.augment.playing import make_rows, plan
from tests.unit.augment.talking import EXAMPLES, FORMS, TASK, said, talk

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "augmenters.md").read_text(encoding="utf-8")
assert custom, template  # imported for what they register


def block(language: str, word: str) -> str:
    """The block of a language that holds a word."""
    (found,) = [text for text in re.findall(rf"```(?:{language})\n(.*?)```", TEXT, re.DOTALL) if word in text]
    return str(found)


def config_of(word: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)  # where the paths of a config are taken from
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    config = load_config(merge(default, yaml.safe_load(block("yaml|yml", word))))
    check_files(config)
    return config


def test_shown_template_is_the_file() -> None:
    shown = ROOT / "docs" / "examples" / "more-like-these.jinja"
    assert block("jinja", "manner") == shown.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", FORMS)
def test_worked_template_makes_rows(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("method: template", monkeypatch)
    settings = json.loads(experiment.augment_slice(config, "rt", "more-like-these"))["augmenter"]
    augmenter = AUGMENTERS.get("template")(settings, Material(EXAMPLES, TASK, 3, FORMS[form]))
    row, (request,) = talk(augmenter, Slot(0, 0), lambda request: " one more film")
    labels = {example.id: example.label for example in EXAMPLES}
    assert (row.text, row.label_source, row.kept) == ("one more film", "asked", True)
    assert [labels[one] for one in row.source_ids] == [row.label] * 3
    shown = [example.text for example in EXAMPLES if f"- {example.text}\n" in said(request)]
    assert len(shown) == 3
    assert TASK.words[str(row.label)] in said(request)
    if form == "chat":
        assert "in the manner of" in request.body["messages"][0]["content"]
    else:
        assert request.body["prompt"].endswith("\n-")


def test_worked_package_makes_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, target = re.findall(r'(\w+) = "(.*?)"', block("toml", "entry-points"))[0]
    module = target.partition(":")[0]
    (tmp_path / f"{module}.py").write_text(block("python", "SyntheticRow"), encoding="utf-8")
    write_metadata(tmp_path, "hello-rows", "1.0", f"[hypermix.augmenters]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)
    config = config_of("method: custom", monkeypatch)
    settings = json.loads(experiment.augment_slice(config, "rt", "hello"))["augmenter"]
    rows = make_rows(AUGMENTERS.get("custom")(settings, Material(EXAMPLES, TASK, 3)))
    assert [row.text for row in rows] == [f"Hello {example.text}" for example in EXAMPLES]
    assert [row.label for row in rows] == [example.label for example in EXAMPLES]


def test_given_values_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("method: attributed", monkeypatch)
    settings = json.loads(experiment.augment_slice(config, "rt", "attributed"))["augmenter"]
    augmenter = AUGMENTERS.get("attributed")(settings, Material(EXAMPLES, TASK, 3, Abilities()))
    (request,) = plan(augmenter, Slot(0, 0))
    assert '"topic"' in said(request)


def test_each_method_has_its_section() -> None:
    for method in ("paraphrase", "conditional", "attributed", "promptmix", "cotam", "template", "custom"):
        assert f"method: {method}" in TEXT
