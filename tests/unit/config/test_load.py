from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config  # type: ignore[import-untyped]

from hypermix.config.load import check_files, load_config, merge, variant_models, without_removed
from hypermix.config.model import Config
from hypermix.errors import ConfigError
from tests.architecture.source import ROOT
from tests.unit.config.conftest import PRICE, RAW, Change, set_key

STEADY = settings(deadline=None, derandomize=True, max_examples=100)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "gpt3mix", "16s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "rt", "method", "llm", "data", "train", "dataset"]), inner, max_size=3)
    ),
    max_leaves=5,
)
SIZE = "wanted is a size such as '32s' (rows a class) or '0.01f' (share of train)"
NAME_LETTERS = "wanted is text without line breaks and brackets; in a name letters, digits, - and _ alone"


def mistakes(raw: Any) -> list[str]:
    """Return the lines of the error that a config gives, without the first."""
    with pytest.raises(ConfigError) as caught:
        load_config(raw)
    first, *lines = str(caught.value).splitlines()
    assert first == ("the config has 1 mistake:" if len(lines) == 1 else f"the config has {len(lines)} mistakes:")
    assert all(line.startswith("  ") for line in lines)
    return [line[2:] for line in lines]


def paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """List the paths to all parts of a config."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*before, key)
        yield from paths(part, (*before, key))


def test_default_config_is_fine() -> None:
    config = load_config(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))

    assert list(config.augmenters) == ["none", "duplicate", "gpt3mix"]


def test_defaults_are_given(raw: dict[str, Any]) -> None:
    config = load_config(raw)

    assert (config.results, config.subsample.validation, config.subsample.test) == ("results", "32s", None)
    assert config.seeds.design == "crossed"
    assert config.only == config.except_ == []


def test_loading_leaves_the_mapping_alone(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    load_config(raw)

    assert raw == before


WRONG: list[tuple[str, Any, str]] = [
    ("subsampel", {}, "subsampel: unknown key; did you mean 'subsample'? (known: datasets, subsample, seeds, llms, "),
    ("seeds.data.cuont", 1, "seeds.data.cuont: unknown key; did you mean 'count'? (known: master, count)"),
    (
        "classifiers.minilm.pateince",
        1,
        "classifiers.minilm.pateince: unknown key; did you mean 'patience'? (known: method, model, recipe, ",
    ),
    ("augmenters.none.llm", "local", "augmenters.none.llm: unknown key; known: draw, method"),
    ("augmenters.mix.lables", "soft", "augmenters.mix.lables: unknown key; did you mean 'labels'? (known: draw, meth"),
    (
        "datasets.rt.train",
        "a.csv",
        "datasets.rt.train: unknown key; known: carve, carve_share, carve_rows, overlap, duplicates, text_type, ",
    ),
    ("threads.tain", 1, "threads.tain: unknown key; did you mean 'train'? (known: augment, train)"),
    (
        "classifiers.minilm.learning_rate",
        "5e-5",
        "classifiers.minilm.learning_rate: '5e-5' stands there; wanted is number "
        "(YAML reads 5e-5 as text; write 5.0e-5)",
    ),
    (
        "classifiers.minilm.learning_rate",
        "1.5e-5",
        "classifiers.minilm.learning_rate: '1.5e-5' stands there; wanted is number (take the quotes away)",
    ),
    (
        "classifiers.minilm.batch_size",
        "32",
        "classifiers.minilm.batch_size: '32' stands there; wanted is integer (take the quotes away)",
    ),
    ("classifiers.minilm.batch_size", "many", "classifiers.minilm.batch_size: 'many' stands there; wanted is integer"),
    ("classifiers.minilm.batch_size", 1.5, "classifiers.minilm.batch_size: 1.5 stands there; wanted is integer"),
    (
        "classifiers.minilm.batch_size",
        0,
        "classifiers.minilm.batch_size: 0 stands there; wanted is greater than or equal to 1",
    ),
    ("report.alpha", 1.0, "report.alpha: 1.0 stands there; wanted is less than 1"),
    ("results", 3, "results: 3 stands there; wanted is string (put it in quotes)"),
    ("results", ["x"], "results: ['x'] stands there; wanted is string"),
    ("results", "", "results: '' stands there; wanted is a folder, without braces and a last slash"),
    (
        "datasets.rt.source",
        "packagd",
        "datasets.rt.source: 'packagd' stands there; did you mean 'packaged'? (known: packaged, file, hub, registry)",
    ),
    ("datasets.rt", {"name": "rt-snippets"}, "datasets.rt.source: must be given; known: packaged, file, hub, registry"),
    ("datasets.rt", "rt-snippets", "datasets.rt: 'rt-snippets' stands there; wanted is a mapping of settings"),
    ("datasets.mine.train", None, "datasets.mine.train: None stands there; wanted is string (put it in quotes)"),
    ("datasets.rt.name", "imdb", "datasets.rt.name: 'imdb' stands there; wanted is 'rt-snippets'"),
    (
        "datasets.rt.label_words",
        ["good"],
        "datasets.rt.label_words: ['good'] stands there; wanted is a mapping of names",
    ),
    (
        "datasets.rt.label_words",
        {"1": "so (so)"},
        "datasets.rt.label_words.1: 'so (so)' stands there; wanted is text wit",
    ),
    (
        "datasets.rt.text_type",
        "a\nb",
        "datasets.rt.text_type: 'a\\nb' stands there; wanted is text without line breaks",
    ),
    (
        "augmenters.mix.method",
        "gpt4mix",
        "augmenters.mix.method: 'gpt4mix' stands there; did you mean 'gpt3mix'? (known: none, duplicate, gpt3mix)",
    ),
    (
        "augmenters.mix.llm",
        "locl",
        "augmenters.mix.llm: 'locl' is no key of llms; did you mean 'local'? (known: local, other, ",
    ),
    ("augmenters.mix", {"method": "gpt3mix"}, "augmenters.mix.llm: must be given"),
    ("augmenters.a b", {"method": "none"}, f"augmenters.a b: 'a b' stands there; {NAME_LETTERS}"),
    (
        "llms.local.api",
        "embeded",
        "llms.local.api: 'embeded' stands there; did you mean 'embedded'? (known: embedded, completions, chat, ba",
    ),
    (
        "llms.luna.limits.concurency",
        4,
        "llms.luna.limits.concurency: unknown key; did you mean 'concurrency'? (known: requests_per_min, tok",
    ),
    (
        "llms.luna.limits.concurrency",
        "4",
        "llms.luna.limits.concurrency: '4' stands there; wanted is integer (take the quotes away)",
    ),
    ("llms.luna.limits", None, "llms.luna.limits: None stands there; wanted is a mapping of settings"),
    ("llms.luna.price", {"input": 1, "output": 2}, "llms.luna.price.as_of: must be given"),
    ("llms.luna.price.input", -1, "llms.luna.price.input: -1 stands there; wanted is greater than or equal to 0"),
    ("llms.local.price", {}, "llms.local.price: unknown key; known: api, model, context, slots"),
    ("llms.own.base_url", "http://x/v1", "llms.own.base_url: unknown key; known: api, model, revision, batch_size, dt"),
    ("llms.server", {"api": "completions", "model": "m", "price": PRICE}, "llms.server.base_url: must be given"),
    ("budget.usd", "5", "budget.usd: '5' stands there; wanted is number (take the quotes away)"),
    ("budget.dollars", 5, "budget.dollars: unknown key; known: usd, requests, tokens"),
    ("budget.requests", 1.5, "budget.requests: 1.5 stands there; wanted is integer"),
    *[
        (path, float("inf"), f"{path}: inf stands there; wanted is a finite number")
        for path in ("budget.usd", "llms.luna.limits.tokens_per_min", "augmenters.copy.multiplier")
    ],
    (
        "augmenters.mix",
        {"method": "gpt3mix", "llm": "local", "labels": "hard", "label_source": "vote"},
        "augmenters.mix: wanted is labels: soft beside label_source: vote; labels is hard",
    ),
    (
        "augmenters.mix.label_source",
        "hard",
        "augmenters.mix: wanted is labels: hard beside label_source: hard; labels is soft",
    ),
    (
        "classifiers.minilm.method",
        "finetun",
        "classifiers.minilm.method: 'finetun' stands there; did you mean 'finetune'? (known: finetune, tmix",
    ),
    (
        "report.baselines",
        ["nome"],
        "report.baselines[0]: 'nome' is no key of augmenters; did you mean 'none'? (known: none, copy, mix, mix2, ",
    ),
    (
        "only",
        [{"augmenter": "mix"}, {"dataset": "rtt"}],
        "only[1].dataset: 'rtt' is no key of datasets; did you mean 'rt'? (known: rt, mine, tone, known)",
    ),
    (
        "only",
        [{"augmentr": "mix"}],
        "only[0].augmentr: unknown key; did you mean 'augmenter'? (known: dataset, subsample,",
    ),
    ("except", [{"classifier": "x"}], "except[0].classifier: 'x' is no key of classifiers; known: minilm, slow"),
    ("except", {"dataset": "rt"}, "except: {'dataset': 'rt'} stands there; wanted is a list"),
    ("only", ["rt"], "only[0]: 'rt' stands there; wanted is a mapping of names to settings"),
    ("seeds.data", [1, 2, 1], "seeds.data[2]: 1 stands there twice; each entry may stand there once"),
    ("seeds.trials", [5, 5], "seeds.trials[1]: 5 stands there twice; each entry may stand there once"),
    ("subsample.train", ["8s", "8s"], "subsample.train[1]: '8s' stands there twice; each entry may stand there once"),
    *[
        ("subsample.train", [size], f"subsample.train[0]: {size!r} stands there; {SIZE}")
        for size in ("32", "0s", "0.0f")
    ],
    ("subsample.validation", "2.0f", f"subsample.validation: '2.0f' stands there; {SIZE}"),
    ("subsample.train", "32s", "subsample.train: '32s' stands there; wanted is a list"),
    ("subsample.train", [], "subsample.train: [] stands there; wanted is at least one entry"),
    ("seeds.data", [], "seeds.data: [] stands there; wanted is at least one entry"),
    ("classifiers", {}, "classifiers: {} stands there; wanted is at least one entry"),
    ("datasets", [1], "datasets: [1] stands there; wanted is a mapping of names to settings"),
    ("subsample", None, "subsample: None stands there; wanted is a mapping of settings"),
    ("subsample", ["32s"], "subsample: ['32s'] stands there; wanted is a mapping of settings"),
    ("seeds.data", 5, "seeds.data: 5 stands there; wanted is a mapping of settings"),
    ("seeds.data", [-1], "seeds.data[0]: -1 stands there; wanted is greater than or equal to 0"),
    ("seeds.trials", [2**32], "seeds.trials[0]: 4294967296 stands there; wanted is less than or equal to 4294967295"),
    ("seeds.data.master", -1, "seeds.data.master: -1 stands there; wanted is greater than or equal to 0"),
    ("seeds.data", ["7"], "seeds.data[0]: '7' stands there; wanted is integer (take the quotes away)"),
    ("datasets.mine.text", [], "datasets.mine.text: [] stands there; wanted is at least one entry"),
    ("datasets.mine.text", [""], "datasets.mine.text[0]: '' stands there; wanted is text that is not empty"),
    ("datasets.mine.quoting", "all", "datasets.mine.quoting: 'all' stands there; wanted is 'csv' or 'none'"),
    (
        "datasets.mine.encoding",
        "utf-9",
        "datasets.mine.encoding: Python knows no encoding 'utf-9'; wanted is one such as utf-8 or cp1252",
    ),
    ("datasets.mine.encoding", "base64", "datasets.mine.encoding: Python knows no encoding 'base64'; "),
    ("datasets.mine.encoding", "a\0b", "datasets.mine.encoding: Python knows no encoding 'a\\x00b'; "),
    (
        "datasets.mine.test",
        "b.xlsx",
        "datasets.mine.test: 'b.xlsx' does not tell its format; wanted is a name that ends in .csv, .tsv, .jsonl, "
        ".ndjson, .parquet (.gz or .zst may follow), or the key format beside it",
    ),
    ("datasets.mine.train", "https://example.org/x?f=a.csv", "datasets.mine.train: 'https://example.org/x?f=a.csv' do"),
    ("datasets.mine.train", "https://[x/a.csv", "datasets.mine.train: 'https://[x/a.csv' does not tell its format"),
    (
        "datasets.tone.path",
        "",
        "datasets.tone.path: '' stands there; wanted is the id of a dataset with its owner, such as SetFit/sst2",
    ),
    (
        "datasets.tone",
        {"source": "hub", "path": "a/b", "split": "repeated"},
        "datasets.tone: wanted is split: repeated with train alone; test must be null",
    ),
    (
        "datasets.known.labels",
        {0: "bad"},
        "datasets.known.labels.0: 0 stands there; wanted is string (put it in quotes",
    ),
    ("seeds.design", "cross", "seeds.design: 'cross' stands there; wanted is 'crossed' or 'paired'"),
]


@pytest.mark.parametrize(("path", "value", "line"), WRONG, ids=[f"{path}={value!r}"[:60] for path, value, _ in WRONG])
def test_each_mistake_is_worded(change: Change, path: str, value: Any, line: str) -> None:
    (found,) = mistakes(change(path, value))

    assert found.startswith(line)


def test_all_mistakes_come_at_once(raw: dict[str, Any]) -> None:
    del raw["classifiers"]
    for path, value in {
        "seeds.data": [1, 1],
        "resluts": "x",
        "augmenters.mix.llm": "lokal",
        "augmenters.mix2.examples": "4",
        "subsample.train": ["32"],
    }.items():
        raw = set_key(raw, path, value)

    assert [line.split(":")[0] for line in mistakes(raw)] == [
        *("subsample.train[0]", "augmenters.mix2.examples", "classifiers", "resluts"),
        *("augmenters.mix.llm", "seeds.data[1]"),
    ]


def test_empty_config_names_what_it_needs() -> None:
    assert mistakes({}) == [f"{name}: must be given" for name in ("datasets", "augmenters", "classifiers")]


def test_null_variant_is_removed(change: Change) -> None:
    kept = [name for name in RAW["augmenters"] if name != "mix"]
    assert list(load_config(change("augmenters.mix", None)).augmenters) == kept
    assert list(load_config(change("datasets.rt", None)).datasets) == ["mine", "tone", "known"]
    assert list(load_config(change("classifiers.slow", None)).classifiers) == ["minilm"]


def test_removed_llm_is_missed_where_used(change: Change) -> None:
    assert mistakes(change("llms.local", None)) == [
        "augmenters.mix.llm: 'local' is no key of llms; known: other, luna, server, cheap, own"
    ]


def test_removing_all_variants_is_a_mistake(change: Change) -> None:
    (line,) = mistakes(change("classifiers", {"minilm": None}))

    assert line == "classifiers: {} stands there; wanted is at least one entry"


def test_removal_leaves_other_nulls(raw: dict[str, Any]) -> None:
    raw = set_key(set_key(raw, "subsample.validation", None), "llms.local", None)
    kept = without_removed(raw)

    assert kept["subsample"]["validation"] is None
    assert "local" not in kept["llms"]
    assert "local" in raw["llms"]


@pytest.mark.parametrize("seeds", [[1], [0, 2**32 - 1], {"master": 0, "count": 1}, {}])
def test_seeds_are_list_or_plan(change: Change, seeds: Any) -> None:
    assert load_config(change("seeds.data", seeds)).seeds.trials == [7, 8]


@pytest.mark.parametrize("size", ["1s", "32s", "0.01f", ".5f", "0.5f", "1.0f", "1.f"])
def test_sizes_of_reference_are_taken(change: Change, size: str) -> None:
    assert load_config(change("subsample.train", [size])).subsample.train == [size]


def test_space_around_words_is_dropped(change: Change) -> None:
    config = load_config(change("datasets.rt.label_words", {"positive": " good "}))

    assert config.datasets["rt"].label_words == {"positive": "good"}
    assert "wanted is text that is not empty" in mistakes(change("datasets.rt.text_type", "  "))[0]


def test_whole_number_is_a_float(change: Change) -> None:
    assert load_config(change("augmenters.mix.multiplier", 2)).augmenters["mix"].model_dump()["multiplier"] == 2.0


@STEADY
@given(st.sampled_from(list(paths(RAW))), VALUES)
def test_any_value_gives_config_or_mistakes(path: tuple[str | int, ...], value: Any) -> None:
    raw = copy.deepcopy(RAW)
    here: Any = raw
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value

    with contextlib.suppress(ConfigError):  # any other error fails the test
        assert isinstance(load_config(raw), Config)


@STEADY
@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_merge_equals_snakemakes(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    expected = copy.deepcopy(base)
    update_config(expected, copy.deepcopy(overlay))

    assert merge(base, overlay) == expected


def test_merge_goes_down_by_key() -> None:
    base = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}

    assert merge(base, {"a": {"y": {"w": 3}}, "b": [3], "c": 4}) == {
        "a": {"x": 1, "y": {"z": 2, "w": 3}},
        "b": [3],
        "c": 4,
    }
    assert base == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2]}


def test_variants_are_listed_by_tag() -> None:
    assert list(variant_models("datasets")) == ["packaged", "file", "hub", "registry"]
    assert list(variant_models("llms")) == ["embedded", "completions", "chat", "batch", "transformers"]
    assert list(variant_models("augmenters")) == ["none", "duplicate", "gpt3mix"]
    assert list(variant_models("classifiers"))[:2] == ["finetune", "tmix"]


# The user's own files.


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "b/a.jsonl", "a.ndjson", "a.parquet", "a.b.csv.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("where", ["", "https://example.org/", "s3://bucket/"])
def test_a_suffix_tells_the_format(change: Change, name: str, where: str) -> None:
    query = "?download=1" if where.startswith("https") else ""
    path = f"{where}{name}{query}"

    assert load_config(change("datasets.mine.train", path)).datasets["mine"].model_dump()["train"] == path


@pytest.mark.parametrize("name", ["rows", "rows.txt", "rows.gz", "rows.csv.bz2", ".csv", "data.csv/rows", "ROWS.CSV"])
def test_format_takes_the_place_of_a_suffix(change: Change, name: str) -> None:
    raw = change("datasets.mine.train", name)
    (line,) = mistakes(raw)

    assert line.startswith(f"datasets.mine.train: {name!r} does not tell its format")
    assert load_config(set_key(raw, "datasets.mine.format", "csv")).datasets["mine"].model_dump()["format"] == "csv"


def test_each_file_without_a_format_is_a_mistake(raw: dict[str, Any]) -> None:
    raw["datasets"]["mine"] |= {"train": "a", "validation": "b.csv", "test": "c", "encoding": "no-such"}

    assert [line.split(":")[0] for line in mistakes(raw)] == [
        *("datasets.mine.encoding", "datasets.mine.train", "datasets.mine.test"),
    ]


def test_splits_of_the_hub_are_no_files(change: Change) -> None:
    config = load_config(change("datasets.tone", {"source": "hub", "path": "a/b", "train": "all", "test": "dev"}))

    assert config.datasets["tone"].model_dump()["train"] == "all"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "utf-16", "shift_jis"])
def test_encodings_have_pythons_names(change: Change, encoding: str) -> None:
    assert load_config(change("datasets.mine.encoding", encoding)).datasets["mine"].model_dump()["encoding"] == encoding


def missing(raw: dict[str, Any]) -> list[str]:
    """Return the lines on files that are not there."""
    try:
        check_files(load_config(raw))
    except ConfigError as error:
        first, *lines = str(error).splitlines()
        assert first.endswith("the folder that snakemake runs in:")
        return [line.strip() for line in lines]
    return []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/train.csv", "data/test.csv", "other.gguf", "openai-key"):
        (tmp_path / name).touch()
    return tmp_path


def files(**splits: str) -> dict[str, Any]:
    return set_key(RAW, "datasets.mine", {"source": "file", "train": "data/train.csv", **splits})


def test_files_that_are_there_are_fine(folder: Path) -> None:
    assert missing(files(test="data/test.csv")) == []
    assert missing(files(test=str(folder / "data" / "test.csv"))) == []


def test_each_missing_file_is_told_with_the_nearest(folder: Path) -> None:
    (folder / "other.gguf").unlink()

    assert missing(files(train="data/trian.csv", validation="data/zzz.jsonl", test="dta/test.csv")) == [
        "datasets.mine.train: data/trian.csv: no such file; did you mean 'data/train.csv'?",
        "datasets.mine.validation: data/zzz.jsonl: no such file",
        "datasets.mine.test: dta/test.csv: no such file",
        "llms.other.model: other.gguf: no such file",
    ]


def test_a_near_name_in_the_folder_itself_is_told(folder: Path) -> None:
    assert missing(set_key(files(), "llms.other.model", "othr.gguf")) == [
        "llms.other.model: othr.gguf: no such file; did you mean 'other.gguf'?"
    ]


def test_a_missing_key_file_is_told_and_not_shown(folder: Path) -> None:
    assert missing(set_key(files(), "llms.cheap.key.file", "opnai-key")) == [
        "llms.cheap.key.file: no such file; did you mean 'openai-key'?"
    ]
    assert missing(set_key(files(), "llms.cheap.key.file", "sk-made-up" * 40)) == ["llms.cheap.key.file: no such file"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("augmenters.night", None),
        ("augmenters.night.llm", "local"),
        ("except", [{"augmenter": "night"}]),
        ("only", [{"augmenter": "none"}, {"augmenter": "mix", "dataset": "rt"}]),
    ],
)
def test_the_key_file_of_a_model_that_nothing_asks_may_be_missing(folder: Path, path: str, value: Any) -> None:
    (folder / "openai-key").unlink()
    assert missing(files()) == ["llms.cheap.key.file: no such file"]
    assert missing(set_key(files(), path, value)) == []


def test_a_key_in_the_environment_is_left_to_the_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUNA_KEY", raising=False)

    assert missing(files()) == []


@pytest.mark.parametrize("model", ["gemma.gguf", "/models/gemma", "./x"])
def test_the_model_of_an_endpoint_is_no_file_of_this_machine(folder: Path, model: str) -> None:
    assert missing(set_key(files(), "llms.server.model", model)) == []


@pytest.mark.parametrize("model", ["./models/small", "/models/small"])
def test_the_folder_of_a_transformers_model_must_be_there(folder: Path, model: str) -> None:
    assert missing(set_key(files(), "llms.own.model", model)) == [f"llms.own.model: {model}: no such file"]


@pytest.mark.parametrize(
    "url",
    [
        "https://me:word@example.org/a.csv",
        "https://example.org/a.csv?token=word",
        "s3://bucket/a.csv?x=1&X-Amz-Signature=word",
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_shown(folder: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(files(train=url))
    assert "datasets.mine.train: the URL holds a password or a key" in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


def test_a_url_of_this_machine_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="wanted is the path alone"):
        load_config(files(train="file:///no/such/a.csv"))


@pytest.mark.parametrize("url", ["https://example.org/a.csv", "s3://bucket/a.csv", "https://example.org/a.csv?raw=1"])
def test_a_url_is_no_file_of_this_machine(folder: Path, url: str) -> None:
    assert missing(files(train=url, validation=url, test=url)) == []
