from __future__ import annotations

from hypermix.augment.quality.catalog import LEAST, MEASURES, NAMES, REAL, TWINS, with_enough


def test_every_name_stands_once() -> None:
    assert len(NAMES) == len(set(NAMES)) == len(MEASURES) + len(TWINS)
    assert {name.removeprefix(REAL) for name in NAMES if name.startswith(REAL)} == set(TWINS)


def test_too_few_rows_make_measures_null() -> None:
    full = dict.fromkeys(NAMES, 0.5)
    assert with_enough(full, 1000) == full
    few = with_enough(full, LEAST)
    assert few["copy_rate"] == 0.5
    assert few["self_bleu"] is few[f"{REAL}self_bleu"] is few["soft_label_ece"] is None
    none = with_enough(full, 0)
    assert [name for name, value in none.items() if value is not None] == ["usable_share", "tries_per_row"]


def test_what_was_not_measured_is_null() -> None:
    assert set(with_enough({}, 1000).values()) == {None}
    assert list(with_enough({}, 0)) == list(NAMES)
