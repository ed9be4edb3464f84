"""A setting that changes, changes the slices of its stage, for the variants that have it, and no others.

The settings are found by walking the config model, so that none can be forgotten. For each there is a config in which
the variant `it` has the setting, `twin` of the same kind keeps its old value, and `other` is of another kind.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from hypermix.config.experiment import METHOD_VERSIONS, augment_slice, runs, stage_of
from hypermix.config.load import load_config, merge, variant_models
from hypermix.config.model import Config
from hypermix.errors import ConfigError
from tests.extending import install
from tests.unit.config.slicing import Job, differing, slices

IT, TWIN, OTHER = "it", "twin", "other"
TAGS = {"datasets": "source", "llms": "api", "augmenters": "method", "classifiers": "method"}
RELABEL = {"by": "llm", "llm": OTHER}

BASE: dict[str, Any] = {
    "datasets": {OTHER: {"source": "file", "train": "other.csv"}},
    "subsample": {"train": ["16s", "0.1f"]},
    "llms": {OTHER: {"api": "embedded", "model": "other.gguf"}, TWIN: {"api": "embedded", "model": "other.gguf"}},
    "augmenters": {
        OTHER: {"method": "none"},
        "asks": {"method": "gpt3mix", "llm": OTHER},
        "labels": {"method": "eda", "synonyms": "embedding", "relabel": RELABEL},
    },
    "classifiers": {OTHER: {"method": "finetune"}},
}
"""An experiment to which a variant of any kind can be added."""

ASKERS = ("asks", "labels")
"""Those of its augmenters that ask a language model, and so see what words a dataset has in a prompt."""

ASKERS_OF_IT = {
    "asks_it": {"method": "gpt3mix", "llm": IT},
    "labels_it": {"method": "eda", "synonyms": "embedding", "relabel": {"by": "llm", "llm": IT}},
}
ASKER_OF_TWIN = {"asks_twin": {"method": "gpt3mix", "llm": TWIN}}

GIVEN: dict[str, dict[str, Any]] = {
    "datasets.packaged": {},
    "datasets.file": {"train": "a.csv"},
    "datasets.hub": {"path": "some-lab/tone", "test": None},
    "datasets.registry": {"path": "some-lab/tone", "test": None},
    "llms.embedded": {"model": "it.gguf"},
    "llms.completions": {"model": "base", "base_url": "http://127.0.0.1:8000/v1"},
    "llms.chat": {"model": "luna"},
    "llms.batch": {"model": "luna"},
    "llms.transformers": {"model": "some-lab/small"},
    "augmenters.none": {},
    "augmenters.duplicate": {},
    "augmenters.shuffle": {},
    "augmenters.real": {},
    "augmenters.eda": {"synonyms": "embedding"},
    "augmenters.contextual": {},
    "augmenters.backtranslate": {},
    "augmenters.gpt3mix": {"llm": OTHER},
    "augmenters.paraphrase": {"llm": OTHER},
    "augmenters.conditional": {"llm": OTHER},
    "augmenters.attributed": {"llm": OTHER},
    "augmenters.promptmix": {"llm": OTHER},
    "augmenters.cotam": {"llm": OTHER},
    "augmenters.template": {"llm": OTHER, "template": "prompt.jinja"},
    "augmenters.custom": {"name": "hello", "llm": OTHER},
    "classifiers.finetune": {},
    "classifiers.tmix": {},
    "classifiers.probe": {},
    "classifiers.setfit": {},
    "classifiers.custom": {"name": "hello"},
}
"""What a variant of each kind must be given."""

BESIDE: dict[str, dict[str, Any]] = {
    "llms.*.key.env": {"key": {"env": "A_KEY"}},
    "llms.*.key.file": {"key": {"file": "a-key"}},
    "llms.*.price.*": {"price": {"input": 0.1, "output": 0.5, "as_of": "2026-11-22"}},
    "augmenters.*.relabel.revision": {"relabel": {"by": "classifier", "llm": None, "model": "some-lab/other"}},
    "augmenters.*.relabel.*": {"relabel": RELABEL},
    "augmenters.backtranslate.llm": {"by": "llm", "llm": OTHER},
    "augmenters.template.per_call": {"parse": "numbered"},
    "augmenters.template.label": {"parse": "json"},
    "augmenters.template.pattern": {"parse": "pattern", "pattern": "(?P<text>.+)"},
    "augmenters.template.json_schema": {"parse": "json"},
    "classifiers.*.revision": {"model": "some-lab/other"},
    "classifiers.*.schedule": {"epochs": 3},
    "classifiers.*.warmup": {"epochs": 3},
}
"""What stands beside a setting from the start so that it can change; the first pattern that fits counts."""

FLAT_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
VALUES: dict[str, list[Any]] = {
    "datasets.*.path": ["some-lab/other"],
    "datasets.*.text": [["text", "new"]],
    "datasets.file.train": ["b.csv"],
    "datasets.file.validation": ["b.csv"],
    "datasets.file.test": ["b.csv"],
    "datasets.file.encoding": ["cp1252"],
    "llms.*.base_url": ["http://localhost:8001/v1"],
    "llms.*.key": [{"env": "A_KEY"}],
    "llms.*.key.env": ["ANOTHER_KEY"],
    "llms.*.price": [{"input": 0.1, "output": 0.5, "as_of": "2026-11-22"}],
    "llms.*.price.as_of": ["2026-11-23"],
    "augmenters.*.relabel.llm": [TWIN, None],
    "augmenters.*.llm": [TWIN],
    "augmenters.*.relabel": [RELABEL, None],
    "augmenters.*.filters.language": ["de"],
    "augmenters.eda.lexicon": ["omw-en:1.4"],
    "augmenters.template.template": ["another.jinja"],
    "augmenters.template.pattern": ["(?P<text>a.+)"],
    "augmenters.template.json_schema": [FLAT_SCHEMA],
    "augmenters.custom.name": ["lacking"],
    "classifiers.custom.name": ["lacking"],
    "classifiers.*.match": [OTHER],
    "subsample.train": [["16s"]],
    "subsample.*": ["8s"],
    "report.baselines": [[OTHER]],
    "export.license": ["mit"],
    "export.language": ["en"],
    "export.*": [OTHER],
    "login_node": [["augment"]],
    "seeds.data": [[1, 2]],
    "seeds.trials": [[1, 2]],
    "only": [[{"augmenter": OTHER}]],
    "except": [[{"augmenter": OTHER}]],
}
"""Other values of settings whose type does not tell one; the first pattern that fits counts."""

TOGETHER: dict[str, dict[str, Any]] = {
    "augmenters.backtranslate.by": {"llm": OTHER, "forward": None, "back": None},
    "augmenters.*.relabel.by": {"relabel": {"llm": None}},
}
"""What must change with a setting; it is of the same stage."""

NOT_IN_FIT = ("match",)
"""Settings of `train` that an export leaves out: nothing is compared with an exported model."""

HELP = (
    "{}: its type tells no other legal value; add one to VALUES in tests/unit/config/test_sensitivity.py, what must "
    "stand beside it to BESIDE, and what must change with it to TOGETHER"
)


class Setting(NamedTuple):
    """A setting of the model.

    Attributes:
        name: The section, the kind of variant where there are any, and the key.
        path: Where it stands in a config that has the variant `it`.
        stage: Its stage.
        kind: Its type.
    """

    name: str
    path: tuple[str, ...]
    stage: str
    kind: Any


def members(kind: Any) -> list[Any]:
    """Return the members of a union of types, without what annotates them."""
    if get_origin(kind) in {Union, types.UnionType}:
        return [member for one in get_args(kind) for member in members(one)]
    return members(get_args(kind)[0]) if get_origin(kind) is Annotated else [kind]


def walk(model: type[BaseModel], name: str, path: tuple[str, ...]) -> Iterator[Setting]:
    """Walk the settings of a model, and of the parts in it."""
    for key, field in model.model_fields.items():
        own = field.alias or key
        found = Setting(f"{name}.{own}".lstrip("."), (*path, own), str(stage_of(model, key)), field.annotation)
        kinds = members(field.annotation)
        parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for part in parts:
            yield from walk(part, found.name, found.path)
        if not parts or len(kinds) > len(parts):  # a part that may be left out, or have another form, is a setting too
            yield found


def all_settings() -> Iterator[Setting]:
    for section in TAGS:
        for kind, model in variant_models(section).items():
            yield from walk(model, f"{section}.{kind}", (section, IT))
    yield from (one for one in walk(Config, "", ()) if one.path[0] not in TAGS)


def has_choice(setting: Setting) -> bool:
    """Tell whether there is more than one value; the tag of a kind has one, and so has a source with one name."""
    return not (get_origin(setting.kind) is Literal and len(get_args(setting.kind)) == 1)


SETTINGS = list(all_settings())


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the working folder templates, and install a package with augmenters."""
    folder = tmp_path_factory.mktemp("work")
    for name, text in (("prompt", "Write a text."), ("same", "Write a text."), ("another", "Write another text.")):
        (folder / f"{name}.jinja").write_text(text, encoding="utf-8")
    install(folder / "site", "hello_sensitive")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder / "site")
        yield folder


def look_up(table: Mapping[str, Any], name: str) -> Any:
    """Return the entry of the first pattern that fits a name; None if none does."""
    return next((table[pattern] for pattern in table if fnmatchcase(name, pattern)), None)


@cache
def write_out(section: str, given: str) -> str:
    """Return the config in which `it` and `twin` are given some settings, with all others written out, as JSON."""
    raw = json.loads(json.dumps(BASE))
    if section in TAGS:
        raw[section] |= {IT: json.loads(given), TWIN: json.loads(given)}
    if section == "llms":
        raw["augmenters"] |= {**ASKERS_OF_IT, **ASKER_OF_TWIN}
    return json.dumps(load_config(raw).model_dump(mode="json", by_alias=True))


def start(setting: Setting) -> dict[str, Any]:
    """Return the config that a setting is changed in."""
    section, *rest = setting.name.split(".")
    if section not in TAGS:
        full = write_out(section, "")
    else:
        variant = f"{section}.{rest[0]}"
        assert variant in GIVEN, f"{variant} is a new kind: add to GIVEN what it must be given"
        beside = look_up(BESIDE, setting.name) or {}
        full = write_out(section, json.dumps({TAGS[section]: rest[0], **merge(GIVEN[variant], beside)}))
    raw: dict[str, Any] = json.loads(full)
    return raw


def value_at(raw: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        raw = raw[part] if isinstance(raw, Mapping) and part in raw else None
    return raw


def with_value(raw: dict[str, Any], setting: Setting, value: Any) -> dict[str, Any]:
    """Return a config with another value of a setting, and what must change with it."""
    out: dict[str, Any] = json.loads(json.dumps(raw))
    here: Any = out
    for part in setting.path[:-1]:
        here = here[part]
    here[setting.path[-1]] = value
    together = look_up(TOGETHER, setting.name)
    return merge(out, {setting.path[0]: {IT: together}}) if together else out


def candidates(kind: Any, now: Any) -> Iterator[Any]:
    """Propose values of a type; those that bounds or other settings forbid are refused when they are tried."""
    for member in members(kind):
        origin = get_origin(member)
        if origin is Literal:
            yield from get_args(member)
        elif member is bool:
            yield not now
        elif member in (int, float):
            yield from (now * 0.9, now + 0.1) if member is float and now is not None else ()
            yield from (now + 1, now - 1) if member is int and now is not None else (7,)
        elif member is str:
            yield from ("new", "owner/new")
        elif origin is list and now:
            yield now[:-1]
        elif origin is list:
            yield ["new"]
        elif origin is dict:
            yield from ({**(now or {}), "new": other} for other in ("new", []))


def change(setting: Setting) -> tuple[Config, Config]:
    """Return a config, and the one that differs from it in a setting."""
    raw = start(setting)
    before = load_config(raw)
    now = value_at(raw, setting.path)
    for value in look_up(VALUES, setting.name) or candidates(setting.kind, now):
        try:
            after = load_config(with_value(raw, setting, value))
        except ConfigError:
            continue
        if value_at(after.model_dump(mode="json", by_alias=True), setting.path) != now:
            return before, after
    pytest.fail(HELP.format(setting.name))


def users(setting: Setting, config: Config) -> set[Job]:
    """Tell by hand whose slices a setting belongs to."""
    section, key = setting.path[0], setting.path[-1]
    if setting.stage == "runtime":
        return set()
    if setting.stage in {"aggregate", "choose", "export"}:
        return {(setting.stage,)}
    own: dict[tuple[str, str], set[Job]] = {
        ("datasets", "prepare"): {("prepare", IT)},
        ("datasets", "augment"): {("augment", IT, name) for name in ASKERS},
        ("subsample", "subsample"): {("subsample",)},
        ("llms", "augment"): {("augment", OTHER, name) for name in ASKERS_OF_IT},
        ("augmenters", "augment"): {("augment", OTHER, IT)},
        ("quality", "quality"): {("quality",)},
        ("classifiers", "train"): {("train", IT), *([] if key in NOT_IN_FIT else [("fit", IT)])},
        ("threads", "train"): {(stage, name) for stage in ("train", "fit") for name in config.classifiers},
    }
    # The report tells all settings that change a result.
    return {*own[section, setting.stage], ("aggregate",)}


@pytest.mark.parametrize("setting", [one for one in SETTINGS if has_choice(one)], ids=lambda setting: setting.name)
def test_a_setting_changes_the_slices_of_its_stage(setting: Setting) -> None:
    before, after = change(setting)

    assert differing(before, after) == users(setting, before)


def test_each_setting_names_a_stage() -> None:
    assert {setting.stage for setting in SETTINGS} == {*METHOD_VERSIONS, "runtime"} - {"evaluate", "fit"}


def test_the_walk_meets_every_key_of_a_config() -> None:
    """What a config has when all is written out, the walk has met, in each kind of variant."""

    names = [setting.name for setting in SETTINGS]
    parts = {".".join(name.split(".")[:position]) for name in names for position in range(1, name.count(".") + 1)}

    def keys(value: Any, before: str = "") -> set[str]:
        """Name the settings that are written out; those that are mappings themselves have keys of a user's own."""
        named = {f"{before}.{key}".lstrip("."): inner for key, inner in value.items()}
        deeper = [keys(inner, name) for name, inner in named.items() if name in parts and isinstance(inner, Mapping)]
        return set().union({name for name in named if name not in parts}, *deeper)

    assert len(names) == len({*names}) > 500
    for variant, given in GIVEN.items():
        section, kind = variant.split(".")
        raw = json.loads(write_out(section, json.dumps({TAGS[section]: kind, **given})))
        assert keys(raw[section][IT], variant) <= {*names}
        assert keys({key: raw[key] for key in raw if key not in TAGS}) <= {*names}
    assert {".".join(name.split(".")[:2]) for name in names if name.split(".")[0] in TAGS} == {*GIVEN}


def test_what_a_new_setting_or_kind_needs_is_told() -> None:
    known = next(setting for setting in SETTINGS if setting.name == "datasets.file.group")
    with pytest.raises(pytest.fail.Exception, match=r"^datasets\.file\.new: .* add one to VALUES"):
        change(known._replace(name="datasets.file.new", kind=bytes))
    with pytest.raises(AssertionError, match=r"^datasets\.moon is a new kind: add to GIVEN what it must be given"):
        change(known._replace(name="datasets.moon.group"))


# What no walk over single settings shows.


def load(*overlays: Mapping[str, Any]) -> Config:
    raw: dict[str, Any] = BASE
    for overlay in overlays:
        raw = merge(raw, overlay)
    return load_config(raw)


@pytest.mark.parametrize(
    ("classifier", "named"),
    [
        ({"method": "finetune"}, {"recipe": "mosbach"}),
        ({"method": "tmix"}, {"recipe": "zhang"}),
        ({"method": "tmix"}, {"mixing": "mixtext"}),
    ],
)
def test_a_recipe_changes_what_it_fills_in(classifier: dict[str, str], named: dict[str, str]) -> None:
    """Its name is of `aggregate`; the values that it gives are of `train`."""
    before = load({"classifiers": {IT: classifier, TWIN: classifier}})
    after = load({"classifiers": {IT: {**classifier, **named}, TWIN: classifier}})

    assert differing(before, after) == {("train", IT), ("fit", IT), ("aggregate",)}


def test_the_text_of_a_template_counts_and_not_its_name(surroundings: Path) -> None:
    def with_template(name: str) -> Config:
        variant = {"method": "template", "llm": OTHER}
        own = {IT: {**variant, "template": name}, TWIN: {**variant, "template": "prompt.jinja"}}
        return load({"augmenters": own})

    assert differing(with_template("prompt.jinja"), with_template("same.jinja")) == {("aggregate",)}
    told = augment_slice(with_template("another.jinja"), OTHER, IT)
    (surroundings / "another.jinja").write_text("Write a third text.", encoding="utf-8")
    assert augment_slice(with_template("another.jinja"), OTHER, IT) != told


@pytest.mark.parametrize(
    ("section", "changed"),
    [("augmenters", {("augment", OTHER, IT)}), ("classifiers", {("train", IT), ("fit", IT)})],
)
def test_another_release_of_a_package_changes_what_it_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, changed: set[tuple[str, ...]]
) -> None:
    custom = {section: {IT: {"method": "custom", "name": "hello"}}}
    before = slices(load(custom))
    install(tmp_path / "newer", "hello_sensitive", "1.3")
    monkeypatch.syspath_prepend(tmp_path / "newer")

    after = slices(load(custom))
    assert {job for job in before if before[job] != after[job]} == changed


def test_the_order_of_lists_that_have_none_changes_no_slice() -> None:
    seeds = {"data": [3, 1, 2], "trials": [9, 8]}
    left_out = [{"augmenter": "asks", "data_seed": 1}, {"subsample": "16s", "augmenter": "labels"}]
    kept = [{"data_seed": 1}, {"data_seed": 2}, {"data_seed": 3, "augmenter": OTHER}]
    before = load({"seeds": seeds, "except": left_out, "only": kept})
    turned = {name: part[::-1] for name, part in seeds.items()}
    after = load({"seeds": turned, "except": left_out[::-1], "only": kept[::-1]})

    assert differing(before, after) == set()
    assert sorted(map(str, runs(before))) == sorted(map(str, runs(after)))


def test_the_order_of_paired_seeds_is_a_setting() -> None:
    before = load({"seeds": {"data": [1, 2], "trials": [8, 9], "design": "paired"}})
    after = load({"seeds": {"data": [1, 2], "trials": [9, 8], "design": "paired"}})

    assert differing(before, after) == {("aggregate",)}
