"""Each mistake in a config has its line."""

from __future__ import annotations

from typing import Any

import pytest

from hypermix.config.load import variant_models
from tests.unit.config.conftest import PRICE, Change, mistakes, set_key

SIZE = "wanted is a size such as '32s' (rows a class) or '0.01f' (share of train)"
NAME_LETTERS = "wanted is text without line breaks and brackets; in a name letters, digits, - and _ alone"
WRONG: list[tuple[str, Any, str]] = [
    ("subsampel", {}, "subsampel: unknown key; did you mean 'subsample'? (known: datasets, subsample, seeds, llms, "),
    ("seeds.data.cuont", 1, "seeds.data.cuont: unknown key; did you mean 'count'? (known: master, count)"),
    (
        "classifiers.minilm.pateince",
        1,
        "classifiers.minilm.pateince: unknown key; did you mean 'patience'? (known: method, model, revision, ",
    ),
    ("augmenters.none.llm", "local", "augmenters.none.llm: unknown key; known: draw, method"),
    ("augmenters.mix.lables", "soft", "augmenters.mix.lables: unknown key; did you mean 'labels'? (known: draw, filt"),
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
        "augmenters.mix.method: 'gpt4mix' stands there; did you mean 'gpt3mix'? (known: "
        f"{', '.join(variant_models('augmenters'))})",
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
