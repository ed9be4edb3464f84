from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermix.config.edit import with_revisions
from hypermix.errors import ConfigError

FIRST, SECOND = "1a2b" * 10, "3c4d" * 10


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


EDITS = [
    ("datasets:\n  a:\n    source: hub", "datasets:\n  a:\n    source: hub\n    revision: {0}"),
    (
        "datasets:\n  a:\n    source: hub  # eol\n\n# next\nllms: {}\n",
        "datasets:\n  a:\n    source: hub  # eol\n    revision: {0}\n\n# next\nllms: {}\n",
    ),
    (
        "datasets:\n  a:\n    # on the words\n    text_type: tweet\n",
        "datasets:\n  a:\n    # on the words\n    revision: {0}\n    text_type: tweet\n",
    ),
    ("datasets: {a: {}, b: 1}\n", "datasets: {a: {revision: {0}}, b: 1}\n"),
    ("datasets: {}\n", "datasets: {a: {revision: {0}}}\n"),
    ("datasets: {b: 1}\n", "datasets: {a: {revision: {0}}, b: 1}\n"),
    ("datasets:\n  b: 1\n", "datasets:\n  a: {revision: {0}}\n  b: 1\n"),
    ("datasets:\n  a:\n    revision: main # old\n", "datasets:\n  a:\n    revision: {0} # old\n"),
    ("datasets:\n  a:\n    revision: 'v1'\n", "datasets:\n  a:\n    revision: {0}\n"),
    ("datasets:\n  a:\n    revision:\n    text: b\n", "datasets:\n  a:\n    revision: {0}\n    text: b\n"),
    ("results: x  # y\n", "results: x  # y\n\ndatasets:\n  a:\n    revision: {0}\n"),
    ("a: 'ü'\r\ndatasets:\r\n  a: {}\r\n", "a: 'ü'\r\ndatasets:\r\n  a: {revision: {0}}\r\n"),
]


@pytest.mark.parametrize(("before", "after"), EDITS)
def test_a_revision_is_all_that_changes(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(before.encode())

    assert with_revisions(path, {"a": FIRST}) == after.replace("{0}", FIRST)


def test_a_revision_that_looks_like_a_number_gets_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "datasets: {no: {}}\n")

    assert with_revisions(path, {"12": "1" * 40}) == f'datasets: {{"12": {{revision: "{"1" * 40}"}}, no: {{}}}}\n'


@pytest.mark.parametrize(
    "text",
    [
        "datasets:\n  a: &x {source: hub}\n  b: *x\n",
        "datasets:\n  a: {revision: &r main}\n  b: {revision: *r}\n",
        "datasets:\n  a:\n    path: >-\n      lab/\n      toy\n    source: hub\n",
    ],
)
def test_no_edit_does_harm(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.yaml", text)
    wanted = yaml.safe_load(text)
    wanted["datasets"]["a"]["revision"] = FIRST
    try:
        made = yaml.safe_load(with_revisions(path, {"a": FIRST}))
    except ConfigError as error:
        assert str(error).endswith(f"cannot be edited without harm; write yourself: datasets.a.revision: {FIRST}")  # noqa: PT017
    else:
        assert made["datasets"]["a"]["revision"] == FIRST
        assert made["datasets"].get("b") == yaml.safe_load(text)["datasets"].get("b")


SCALARS = st.none() | st.sampled_from(["hub", "a: b", "# c", "main", "", "don't"])
VARIANTS = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(st.sampled_from("01"), SCALARS),
        "source": SCALARS,
        "path": SCALARS,
        "text": SCALARS | st.lists(SCALARS, max_size=2),
        "revision": SCALARS,
    },
)


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "no", "7"]), VARIANTS),
    st.booleans() | st.none(),
    st.sampled_from([2, 4]),
)
def test_any_config_gets_its_revisions(
    tmp_path_factory: pytest.TempPathFactory, datasets: dict[str, dict[str, object]], flow: bool | None, indent: int
) -> None:
    text = yaml.safe_dump({"datasets": datasets, "only": [{"trial": 1}]}, default_flow_style=flow, indent=indent)
    path = write(tmp_path_factory.getbasetemp() / "any.yaml", text)
    made = yaml.safe_load(with_revisions(path, {"a": FIRST, "7": SECOND}))
    for name, commit in (("a", FIRST), ("7", SECOND)):
        datasets.setdefault(name, {})["revision"] = commit

    assert made == {"datasets": datasets, "only": [{"trial": 1}]}
