"""export: the trained model as a folder of its own, with the card that says what it is worth."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
import yaml

from hypermix import __version__
from hypermix.files import read_provenance, read_table, write_text
from hypermix.names import is_url
from hypermix.packages import is_path
from hypermix.report.card import Base, Card, Data, Judged, Synthetic, Training, card_text
from hypermix.stats.interval import share_interval
from hypermix.steps.choose import read_choice
from hypermix.steps.predict import COLUMNS_KEY
from hypermix.tables import METRICS

_VARIANT = ("dataset", "augmenter", "classifier")
_BASES = {"package:minilm-l6": ("sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0")}
"""The id on the hub and the license of the models that packages carry."""

_TERMS = {
    "package:gemma3-270m": (
        "Gemma Terms of Use, ai.google.dev/gemma/terms; they restrict uses and say what holds for a model that is "
        "trained on its output"
    )
}
"""The terms of what a language model writes, where they are known."""

_PACKAGES = ("torch", "transformers")
_NO_SETTINGS = ("method_version", "model")


def run(slice_json: str, inputs: Mapping[str, Path], output: Path) -> None:
    """Write the folder of the exported model.

    Args:
        slice_json: The slice of `export`.
        inputs: ``choice``; of the exported run ``train``, ``validation``, ``synthetic``, ``receipt``, ``predictions``,
            ``metrics`` and the folder ``model``; of the experiment ``runs``, ``summary`` and ``verdict``.
        output: The folder.

    Raises:
        ArtefactError: If a file cannot be read.
    """
    text = card_text(describe_model(slice_json, inputs))
    output.mkdir(parents=True, exist_ok=True)
    for file in sorted(inputs["model"].iterdir()):
        if not file.name.startswith("."):
            _place(file, output / file.name)
    _record_columns(output / "config.json", inputs["train"])
    write_text(output / "README.md", text)


def _record_columns(config: Path, train: Path) -> None:
    """Write into the config of the model which columns it was trained on, for `hypermix predict`."""
    made = read_provenance(train)
    settings = made["slices"]["prepare"]["dataset"]
    columns = made.get("columns") or {name: settings[name] for name in ("text", "label") if name in settings}
    told = json.loads(config.read_text(encoding="utf-8"))
    write_text(config, json.dumps({**told, COLUMNS_KEY: columns}, indent=2, sort_keys=True) + "\n")


def _place(file: Path, target: Path) -> None:
    """Link weights, which are large, and copy what a user may edit."""
    target.unlink(missing_ok=True)
    if file.suffix == ".safetensors":
        try:
            os.link(file, target)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, target)
        return
    shutil.copyfile(file, target)


def describe_model(slice_json: str, inputs: Mapping[str, Path]) -> Card:
    """Collect what the card of a model tells; see `run`.

    Raises:
        ArtefactError: If a file cannot be read.
    """
    own, choice = json.loads(slice_json), read_choice(inputs["choice"])
    made = read_provenance(inputs["predictions"])
    slices, study = made["slices"], read_provenance(inputs["summary"])["slices"]["aggregate"]["config"]
    return Card(
        data=_data(choice["dataset"], slices["prepare"]["dataset"], own["data_license"], made["labels"], inputs),
        base=_base(slices["train"]["classifier"]["model"], local=bool(made["weights"])),
        synthetic=_synthetic(choice["augmenter"], slices["augment"], inputs),
        training=Training(
            classifier=choice["classifier"],
            settings={name: value for name, value in slices["train"]["classifier"].items() if name not in _NO_SETTINGS},
            n_train=made["run"]["n_train"],
            steps=made["run"]["steps"],
            best_epoch=made["run"]["best_epoch"],
            seeds={"of the data": choice["data_seed"], "of the training": choice["trial"]},
            versions={"hypermix": __version__, **{name: metadata.version(name) for name in _PACKAGES}},
        ),
        judged=_judged(choice, study["report"]["level"], inputs),
        license=own["export"]["license"],
        language=own["export"]["language"],
    )


def _data(
    name: str,
    settings: Mapping[str, Any],
    license_name: str | None,
    labels: list[str],
    inputs: Mapping[str, Path],
) -> Data:
    train, validation = (Counter(read_table(inputs[split], split)["label"]) for split in ("train", "validation"))
    return Data(
        name=name,
        source=_tell_source(settings),
        hub_id=settings.get("path"),
        license=license_name,
        classes={label: (train[label], validation[label]) for label in labels},
        repeated=settings.get("split") == "repeated",
    )


def _tell_source(settings: Mapping[str, Any]) -> str:
    if "path" in settings:
        parts = [settings["path"], settings.get("config"), settings.get("revision")]
        return f"{', '.join(part for part in parts if part)} on the Hugging Face hub"
    if settings["source"] == "packaged":
        return f"{settings['name']}, which a Python package carries"
    # A card is passed on, and where a file lay is nobody's concern.
    train = settings["train"]
    return train if is_url(train) else f"the file {PurePath(train).name}"


def _base(model: str, *, local: bool) -> Base:
    if model in _BASES:
        hub_id, license_name = _BASES[model]
        return Base(hub_id, hub_id, license_name)
    if local:
        folder = Path(model)
        return Base(f"the model {folder.name}", None, _license_of(folder / "README.md"))
    return Base(model, model, None)


def _license_of(card: Path) -> str | None:
    """Read the license that the card of a model names in its front matter."""
    try:
        _, front, *_ = card.read_text(encoding="utf-8").split("---\n", 2)
        told = yaml.safe_load(front)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    name = told.get("license") if isinstance(told, dict) else None
    return name if isinstance(name, str) else None


def _synthetic(name: str, settings: Mapping[str, Any], inputs: Mapping[str, Path]) -> Synthetic:
    kept = read_table(inputs["synthetic"], "synthetic")["kept"]
    receipt = read_table(inputs["receipt"], "receipt").iloc[0]
    llm = settings.get("llm")
    usd = receipt["usd"]
    return Synthetic(
        augmenter=name,
        settings=settings["augmenter"],
        llm=None if llm is None else _name_llm(llm["model"], llm["api"]),
        terms=None if llm is None else _TERMS.get(llm["model"]),
        kept=int(kept.sum()),
        rejected=int((~kept).sum()),
        spent={
            # What was paid in this run alone would differ from one run to the next.
            "requests": int(receipt["requests_paid"] + receipt["requests_replayed"]),
            "prompt_tokens": int(receipt["prompt_tokens"]),
            "completion_tokens": int(receipt["completion_tokens"]),
            "usd": None if pd.isna(usd) else float(usd),
        },
    )


def _name_llm(model: str, api: str) -> str:
    name = PurePath(model).name if is_path(model) else model
    return f"{name} ({api})"


def _judged(choice: Mapping[str, Any], level: float, inputs: Mapping[str, Path]) -> Judged:
    own = read_table(inputs["metrics"], "metrics").iloc[0]
    n_test = int(own["n_test"])
    right = share_interval(round(float(own["accuracy"]) * n_test), n_test, level)
    verdict = json.loads(inputs["verdict"].read_text(encoding="utf-8"))
    entries = [
        entry for entry in verdict["verdicts"] if all(entry[key] == choice[key] for key in ("dataset", "classifier"))
    ]
    return Judged(
        metrics={name: float(own[name]) for name in METRICS},
        accuracy=(right.low, right.high),
        n_test=n_test,
        study=_study(choice, inputs),
        level=level,
        why=choice["why"],
        headline=verdict["headline"],
        sentences=[(entry["subsample"], entry["sentence"]) for entry in entries],
    )


def _study(choice: Mapping[str, Any], inputs: Mapping[str, Path]) -> pd.DataFrame:
    """Return the summary of this variant with the mean of its train rows at each size."""
    runs, summary = (_of_variant(read_table(inputs[name], name), choice) for name in ("runs", "summary"))
    sizes = runs.groupby("subsample", sort=False)["n_train"].mean()
    return summary.assign(n_train=summary["subsample"].map(sizes))


def _of_variant(rows: pd.DataFrame, choice: Mapping[str, Any]) -> pd.DataFrame:
    for name in _VARIANT:
        rows = rows[rows[name] == choice[name]]
    return rows
