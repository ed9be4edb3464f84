"""The settings of the augmenters that ask by a template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.load import check_files, load_config
from hypermix.config.template import MOST_BYTES, read_template
from hypermix.errors import ConfigError
from tests.unit.config.conftest import RAW, mistakes, set_key

METHODS = ("paraphrase", "conditional", "attributed", "promptmix", "cotam")
MINE: dict[str, Any] = {"method": "template", "llm": "local"}
PATTERN = "(?P<text>.*) is (?P<label>.*)"


def with_one(settings: dict[str, Any]) -> dict[str, Any]:
    return set_key(RAW, "augmenters.one", settings)


def slice_of(settings: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(experiment.augment_slice(load_config(with_one(settings)), "rt", "one"))
    return found


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jinja"
    path.write_text("{{ label.word }}, as {{ examples[0].text }}:\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("method", METHODS)
def test_each_setting_decides_what_runs_again(method: str) -> None:
    settings = {"method": method, "llm": "local"}
    before = slice_of(settings)
    for name, value in before["augmenter"].items():
        if name in {"method", "llm", "filters", "relabel"}:  # the last two are walked with their own
            continue
        others: list[Any] = [value + 1, value + 0.1, value * 0.5] if isinstance(value, float | int) else []
        others += ["closest", "data_seed", {"topic": ["a"]}, {"n": "A text."}]
        others += [{"least_mass": 0.5}, {"by": "classifier"}]
        changed = []
        for other in [one for one in others if one != value]:
            try:
                changed.append(slice_of({**settings, name: other}) != before)
            except ConfigError:
                continue
        assert changed, name
        assert all(changed), name
    assert slice_of({**settings, "llm": "other"}) != before


def test_content_of_a_template_decides_and_not_its_name(template: Path) -> None:
    settings = {**MINE, "template": str(template)}
    before = slice_of(settings)
    assert before["augmenter"]["template"] == template.read_text()
    moved = template.rename(template.with_name("other.jinja"))
    assert slice_of({**settings, "template": str(moved)}) == before
    moved.write_text("Another {{ label.word }} text:", encoding="utf-8")
    assert slice_of({**settings, "template": str(moved)}) != before


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"per_call": 2}, "wanted is per_call: 1 beside parse: line, or parse: numbered; per_call is 2"),
        ({"label": "written"}, "wanted is label: asked or example beside parse: line, which reads no labels"),
        ({"parse": "pattern"}, "wanted is pattern beside parse: pattern, and there alone"),
        ({"pattern": PATTERN}, "wanted is pattern beside parse: pattern, and there alone"),
        ({"parse": "pattern", "pattern": "(?P<text>"}, "wanted is pattern with a regular expression; this one is none"),
        ({"parse": "pattern", "pattern": "(?P<txt>.*)"}, "wanted is pattern with the named groups text beside"),
        ({"parse": "pattern", "pattern": PATTERN}, "wanted is pattern with the named groups text beside label: asked"),
        (
            {"parse": "pattern", "pattern": "(?P<text>.*)", "label": "written"},
            "wanted is pattern with the named groups label and text beside label: written; it has text",
        ),
        ({"examples_of": "asked", "sampling": "balanced"}, "wanted is examples_of: asked beside label: asked and a"),
        ({"label": "example"}, "wanted is examples: 1 and sampling: uniform beside label: example"),
        ({"stop": ["END", ""]}, "wanted is stop with texts that are not empty"),
        ({"stop": list("abcde")}, "stop: "),
        ({"sampling": "nearest"}, "sampling: 'nearest' stands there; wanted is 'uniform', 'balanced', 'closest' or "),
        ({"template": ""}, "template: '' stands there; wanted is text that is not empty"),
    ],
)
def test_settings_that_do_not_fit_are_told(template: Path, settings: dict[str, Any], told: str) -> None:
    (line,) = mistakes(with_one({**MINE, "template": str(template), **settings}))
    assert line.startswith("augmenters.one")
    assert told in line


def test_candidates_are_of_calls_for_one_text() -> None:
    (line,) = mistakes(with_one({"method": "conditional", "llm": "local", "candidates": 2, "per_call": 2}))
    assert line == "augmenters.one: wanted is per_call: 1 beside candidates: 2; per_call is 2"


@pytest.mark.parametrize("method", [*METHODS, "template"])
def test_a_language_model_must_be_named(method: str, template: Path) -> None:
    more = {"template": str(template)} if method == "template" else {}
    (line,) = mistakes(with_one({"method": method, **more}))
    assert line == "augmenters.one.llm: must be given"
    (line,) = mistakes(with_one({"method": method, "llm": "locl", **more}))
    assert line.startswith("augmenters.one.llm: 'locl' is no key of llms; did you mean 'local'?")


# Files of templates.


def faults(settings: dict[str, Any]) -> str:
    raw = {**RAW, "datasets": {"rt": {"source": "packaged"}}, "augmenters": {"one": settings}, "report": {}}
    raw = {**raw, "llms": {"local": {"api": "embedded"}}, "classifiers": {"minilm": {"method": "finetune"}}}
    with pytest.raises(ConfigError) as caught:
        check_files(load_config(raw))
    return str(caught.value)


def test_a_missing_file_is_told_before_any_job(template: Path) -> None:
    told = faults({**MINE, "template": str(template.with_name("mien.jinja"))})
    assert "augmenters.one.template: " in told
    assert f"no such file; did you mean {str(template)!r}?" in told


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("one\n{{ exampels }}", {}, "line 2: unknown variable 'exampels'; did you mean 'examples'? (known: "),
        ("{% if %}", {}, "line 1: "),
        ("{{ label.word }}", {"parse": "json", "label": "written"}, "unknown variable 'label'"),
    ],
)
def test_a_fault_of_a_template_is_told_before_any_job(
    template: Path, text: str, settings: dict[str, Any], told: str
) -> None:
    template.write_text(text, encoding="utf-8")
    found = faults({**MINE, "template": str(template), **settings})
    assert found.startswith(f"the config names prompt templates with faults:\n  augmenters.one.template: {template}: ")
    assert told in found


def test_what_is_no_text_is_no_template(template: Path) -> None:
    template.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as a prompt template in UTF-8" in faults({**MINE, "template": str(template)})
    template.write_bytes(b"a" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="at most 1000000 bytes"):
        read_template(str(template))
    with pytest.raises(ConfigError, match="cannot be read as a prompt template"):
        read_template(str(template.parent))
