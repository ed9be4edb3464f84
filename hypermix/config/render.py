"""The files that are made from the config model and the registry: a JSON schema and two documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hypermix.config.dataset import HubDataset
from hypermix.config.experiment import stage_of
from hypermix.config.load import variant_models
from hypermix.config.model import Config
from hypermix.config.registry import Registry, is_commit

_SECTIONS = ("datasets", "llms", "augmenters", "classifiers")
_INTRODUCTION = """# The config

<!-- Made by `hypermix config write` from hypermix/config/model.py: change it there. -->

`config.yaml` is the experiment that `snakemake --cores N` runs. Change it, or lay files over it:
`snakemake --cores N --configfile config/config.yaml mine.yaml`. Files merge by key; a variant that is null is gone.

Datasets, language models, augmenters and classifiers are *named variants*. An ablation is one more name, never an edit
of a used one: a new name costs only itself, an edit makes its runs again. The last column tells the stage that runs
again when a setting changes, with all that follow it: prepare, subsample, augment, quality, train, evaluate, aggregate,
and for `snakemake export` choose and export. Settings of the stage `runtime` change no result and rerun nothing.

YAML reads `5e-5` as text: write `5.0e-5`.
"""

_DATASETS_INTRODUCTION = """# The datasets

<!-- Made by `hypermix config write` from config/datasets.yaml and hypermix/config/render.py: change it there. -->

A dataset comes from one of four sources. All their settings: [config/README.md](../config/README.md).

```yaml
datasets:
  sst2: {source: registry}                                  # one of the 17 below, by its name
  polite: {source: hub, path: some-lab/politeness, text: utterance, label: tone}
  mine: {source: file, train: data/train.csv, text: body, label: kind}
  rt: {source: packaged}                                    # comes with a Python package, without network
```

**Registry.** The name is enough: the registry, `config/datasets.yaml`, knows the id on the Hugging Face hub, the
columns, the splits, names for the labels and the words of a prompt. What you set yourself is stronger; `labels` and
`label_words` are laid over the registry's by key. Under another name: `half: {source: registry, name: sst2}`.

**Hub.** Any dataset of the hub that needs no loading script. Say which columns hold the texts and the labels.

**File.** Your own CSV, TSV, JSONL or Parquet files, plain or compressed, here or at a URL.

**Packaged.** Movie-review sentences that a package carries: for a first run, and where there is no network.

A hub dataset can change. The commit that was used stands in the provenance of the results, and `hypermix datasets pin`
writes it into your config as `revision`, so that a run next year reads the same rows.

Where a set needs a loading script, its branch `refs/convert/parquet` may carry the same rows without one: set
`revision: refs/convert/parquet`. Code of a dataset is never run. Without network a dataset that was fetched before is
read from the cache of the hub's own library (`HF_HOME`); a gated one needs its terms accepted on its page and a token
in `HF_TOKEN`.

A pin is a change of a setting: `prepare` and what follows run again, though the rows are the same. So pin before the
first long run. Stored answers of language models are not paid again.

## What becomes of your rows

**Texts** stay as they are, but that the character U+2026 becomes three dots, as in the reference. "NA", "null" and
"nan" are texts. Several text columns are joined with a space. Rows with an empty text are left out of train and
validation and counted; in test they stay. Control characters stay and are counted.

**Labels** take one form: `1`, `1.0` and `"1"` are the label `1`, and `True`, `TRUE` and `true` are `true`; spaces
around a label go. Labels that differ in case alone are an error. A missing label is an error with its row. `labels`
gives other names, and two labels with one name become one. A label that only validation or test has stays there and
is counted: the classifier has an output for it and can only get it wrong.

**Rows** are counted from 1 after the header, blank lines left out; lines from the start of the file. Every row gets
an id made from its text, its label and how often both came before; a column with ids of your own is not read.

**Duplicates and overlap.** Two texts are the same if they differ in case and white space alone.

| key | what it is about | default |
| --- | --- | --- |
| `duplicates` | train rows that repeat an earlier one, text and label: `keep`, `drop` or `fail` | `keep` |
| `overlap` | train rows whose text stands in test: `keep` as the reference does, `drop` or `fail` | `drop` |

Test is never touched. With `overlap: keep`, `duplicates: keep` and no empty text, the rows are exactly the
reference's. When a file has many double rows and no test split, set `duplicates: drop`: else most of train may stand
in the carved test, and validation may share texts with train, which the report counts. Near-duplicates are counted
and shown in the report, and nothing is done about them. Of more than 50,000 rows, every n-th is compared; the report
says how many were.

**Splits.** A missing validation split is carved from train: `carve: share` takes `carve_share` of each label, at most
`carve_rows` in all; `carve: reference` takes `carve_rows` by the reference's procedure, seed 42, which is more than
small sets have. A missing test split takes `test_share`, before that. With `split: repeated` all three are drawn anew
for each data seed, which suits a few hundred rows; the test sets of two seeds then share rows, and the report says
so. With `group: COLUMN` rows of one group, such as an author, never stand on both sides of a split made here; labels
and shares come as near to their numbers as whole groups let them.

A `group` that a given validation or test split shares with train is told and left as it is.

**Columns.** `text` and `label` name them. Where you name none and the file with the train rows has no column `text` or
`label`, the column is guessed if that is obvious: for texts one that is called text, review, sentence, comment or the
like, else the one whose texts are by far the longest; for labels one that is called label, class, sentiment, stars or
the like, else the only one with few different values. Where a column of such a name holds something else, no other
is taken for it. `hypermix plan`, the log and the report say what was guessed;
where it is not obvious the error lists the columns. A column that you name is never replaced.

**Files.** CSV and TSV have a header. Where fields are separated by semicolons, as in many exports, set `separator:
";"`. Fields in double quotes may hold separators and line breaks; where a quote is a character like any other, as in
many TSV files, set `quoting: none`. `encoding` is UTF-8 unless you name another. JSONL is one object a line. `.gz`
and `.zst` are unpacked. A URL is fetched once, into `cache/downloads`; delete the copy there to fetch it again. The
URL stands in the results and the report, so one with a password or a key in it is refused.

## The 17 datasets of the paper's code

Labels have the words that stand beside them in a prompt. Where no validation rows stand, they are taken from train.
A dash stands for what is not known. HyperMix fetches a dataset from the hub and passes none on: look at its license,
and where that is unknown, at its source, before you use it.
"""


def json_schema() -> str:
    """Return the JSON schema of the config, for editors."""
    return json.dumps(Config.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"


def reference() -> str:
    """Return `config/README.md`: every setting with its meaning, default and stage."""
    lines = [_INTRODUCTION]
    plain = [name for name in Config.model_fields if name not in _SECTIONS and not _section_model(Config, name)]
    for name in _SECTIONS:
        lines += _variants(name)
    for name in Config.model_fields:
        model = _section_model(Config, name)
        if model is not None and name not in _SECTIONS:
            lines += [f"## `{name}`\n", *_about(model), *_table(model, list(model.model_fields), f"{name}.")]
    lines += ["## The rest\n", *_table(Config, plain, "")]
    return "\n".join(lines).rstrip() + "\n"


def datasets_document(registry: Registry) -> str:
    """Return `docs/datasets.md`: how to use a dataset, and what is known of those of the registry.

    Args:
        registry: The entries by name, each with ``facts``.
    """
    lines = [
        _DATASETS_INTRODUCTION,
        "| name | hub id | classes | rows train / validation / test | label words | text type / label type | license |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_dataset_row(name, entry) for name, entry in registry.items()),
        "",
    ]
    for name, entry in registry.items():
        facts = entry["facts"]
        lines += [f"### {name}\n", f"{facts['pitfalls']} *How it was checked:* {facts['checked']} {_pinned(entry)}\n"]
    return "\n".join(lines).rstrip() + "\n"


def _dataset_row(name: str, entry: Mapping[str, Any]) -> str:
    facts = entry["facts"]
    dataset = HubDataset.model_validate({"source": "hub", **{key: entry[key] for key in entry if key != "facts"}})
    rows = " / ".join("–" if (n := facts["rows"][split]) is None else f"{n:,}" for split in facts["rows"])
    words = {label: dataset.label_words.get(label, label) for label in facts["labels"]}
    named = ", ".join(label if label == word else f"{label}: {word}" for label, word in words.items())
    hub_id = f"`{dataset.path}`" + (f", {dataset.config}" if dataset.config else "")
    kinds = f"{dataset.text_type} / {dataset.label_type}"
    return f"| {name} | {hub_id} | {len(words)} | {rows} | {named} | {kinds} | {facts['license']} |"


def _pinned(entry: Mapping[str, Any]) -> str:
    revision = entry.get("revision")
    if revision is None:
        return "No commit is set: pin it."
    return f"Commit `{revision}`." if is_commit(revision) else f"Branch `{revision}`: pin its commit."


def _variants(section: str) -> Iterator[str]:
    yield f"## `{section}`\n"
    nested: dict[str, type[BaseModel]] = {}
    for tag, model in variant_models(section).items():
        key = next(name for name in ("source", "api", "method") if name in model.model_fields)
        yield f"### `{key}: {tag}`\n"
        yield from _about(model)
        yield from _table(model, [name for name in model.model_fields if name != key], f"{section}.NAME.")
        nested |= {name: part for name in model.model_fields if (part := _section_model(model, name))}
    for name, model in nested.items():
        yield f"### `{section}.NAME.{name}`\n"
        yield from _about(model)
        yield from _table(model, list(model.model_fields), f"{section}.NAME.{name}.")


def _about(model: type[BaseModel]) -> Iterator[str]:
    yield f"{' '.join((model.__doc__ or '').split())}\n"


def _table(model: type[BaseModel], names: list[str], prefix: str) -> Iterator[str]:
    yield "| key | meaning | default | stage |"
    yield "| --- | --- | --- | --- |"
    for name in names:
        field = model.model_fields[name]
        key = f"`{prefix}{field.alias or name}`"
        # What has a table of its own has its defaults there.
        default = "`{}`" if isinstance(field.default, BaseModel) else _default(field)
        yield f"| {key} | {_meaning(field)} | {default} | {stage_of(model, name)} |"
    yield ""


def _meaning(field: FieldInfo) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f" Unit: {extra['unit']}." if "unit" in extra else ""
    return f"{field.description}{unit}".replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value: Any = field.get_default(call_default_factory=True)
    plain = value.model_dump() if isinstance(value, BaseModel) else value
    return f"`{json.dumps(plain)}`"


def _section_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    annotation = model.model_fields[name].annotation
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
