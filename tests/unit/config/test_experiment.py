from __future__ import annotations

import json
from typing import Any

import pytest

from hypermix.config import experiment
from hypermix.config.experiment import (
    METHOD_VERSIONS,
    augment_runtime,
    baselines,
    data_seeds,
    runs,
    trial_seeds,
)
from hypermix.config.load import load_config
from hypermix.config.model import Config
from hypermix.errors import ConfigError
from hypermix.seeding import spawn_seeds
from hypermix.tables import KEYS
from tests.unit.config.conftest import RAW, Change
from tests.unit.config.slicing import slices

FULL = load_config(RAW).model_dump(mode="json", by_alias=True)
"""The small config with every setting written out."""

N_RUNS = len(runs(load_config(RAW)))


def test_order_of_keys_changes_no_slice() -> None:
    def turned(value: Any) -> Any:
        return {key: turned(part) for key, part in reversed(value.items())} if isinstance(value, dict) else value

    assert slices(load_config(turned(FULL))) == slices(load_config(FULL))


def test_written_defaults_change_no_slice() -> None:
    assert slices(load_config(FULL)) == slices(load_config(RAW))


def test_new_variant_changes_aggregate_alone(change: Change) -> None:
    before = slices(load_config(RAW))
    for path, variant in {
        "augmenters.copy2": {"method": "duplicate", "multiplier": 2.0},
        "classifiers.third": {"method": "finetune"},
        "datasets.new": {"source": "file", "train": "b.csv"},
        "llms.third": {"api": "embedded"},
    }.items():
        after = slices(load_config(change(path, variant)))
        assert {job for job in before if before[job] != after[job]} == {("aggregate",)}


def test_slices_of_equal_variants_are_equal() -> None:
    config = load_config({**RAW, "classifiers": {"a": {"method": "finetune"}, "b": {"method": "finetune"}}})

    assert experiment.train_slice(config, "a") == experiment.train_slice(config, "b")


@pytest.mark.parametrize("stage", sorted(METHOD_VERSIONS))
def test_method_version_is_in_slice(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = slices(load_config(RAW))
    monkeypatch.setitem(METHOD_VERSIONS, stage, 99)
    after = slices(load_config(RAW))

    # What is exported is trained by the same method.
    changed_too = {"fit"} if stage == "train" else set()
    assert {key[0] for key in before if before[key] != after[key]} == {stage} | changed_too


def test_subsample_slice_is_exact() -> None:
    expected = '{"method_version":1,"sizes":{"test":null,"validation":"32s"}}'

    assert experiment.subsample_slice(load_config(RAW)) == expected


def test_augment_slice_names_the_model() -> None:
    parts = json.loads(experiment.augment_slice(load_config(RAW), "mine", "mix2"))

    assert parts["llm"] == {"name": "other", "api": "embedded", "model": "other.gguf", "context": 4096, "slots": 1}
    assert parts["task"] == {"text_type": "text", "label_type": "label", "label_words": {"5": "good"}}
    assert sorted(parts) == ["augmenter", "llm", "method_version", "task"]


def test_augment_slice_of_a_hosted_model_is_what_it_is_asked() -> None:
    parts = json.loads(experiment.augment_slice(load_config(RAW), "mine", "talk"))

    assert parts["llm"] == {
        "name": "luna",
        "api": "chat",
        "model": "luna",
        "base_url": "https://api.openai.com/v1",
        "extra": {"service_tier": "flex"},
        "reasoning_effort": "none",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("llms.luna.key", None),
        ("llms.luna.key", {"file": "a-key"}),
        ("llms.server.key", {"env": "SERVER_KEY"}),
        ("llms.luna.limits", {}),
        ("llms.luna.limits", {"requests_per_min": None, "concurrency": 1, "deadline": 5.0}),
        ("llms.luna.price", {"input": 9.0, "output": 9.0, "as_of": "2027-01-01"}),
        ("llms.cheap.poll", 1.0),
        ("budget", {}),
        ("budget", {"usd": 0.0}),
        ("offline", True),
    ],
)
def test_key_limits_price_and_budget_change_no_slice(change: Change, path: str, value: Any) -> None:
    assert slices(load_config(change(path, value))) == slices(load_config(RAW))


def test_no_slice_tells_of_money_and_keys() -> None:
    for told in slices(load_config(RAW)).values():
        for hidden in ("LUNA_KEY", "openai-key", "requests_per_min", "longest_wait", "as_of", "usd", '"poll"'):
            assert hidden not in told


def test_augment_runtime_tells_all_that_no_slice_tells(change: Change) -> None:
    config = load_config(change("offline", True))

    assert augment_runtime(config, "talk", 3) == {
        "cache": "cache",
        "results": "results",
        "threads": 3,
        "offline": True,
        "budget": {"usd": 5.0, "requests": 1000, "tokens": 100000},
        "llm": {
            "key": {"env": "LUNA_KEY", "file": None},
            "limits": {
                "requests_per_min": 500.0,
                "tokens_per_min": 200000.0,
                "concurrency": 8,
                "deadline": 600.0,
                "tries": 6,
                "longest_wait": 600.0,
            },
            "price": {"input": 0.1, "output": 0.5, "as_of": "2026-11-22", "source": "the page of prices"},
        },
    }


def test_augment_runtime_of_a_batch_has_its_pause() -> None:
    told = augment_runtime(load_config(RAW), "night", 1)["llm"]

    assert told["poll"] == 60.0
    assert told["key"] == {"env": None, "file": "openai-key"}


@pytest.mark.parametrize(("augmenter", "llm"), [("none", None), ("copy", None), ("mix", {}), ("here", {})])
def test_augment_runtime_without_an_endpoint_has_nothing_of_it(augmenter: str, llm: Any) -> None:
    assert augment_runtime(load_config(RAW), augmenter, 1)["llm"] == llm


@pytest.mark.parametrize("augmenter", sorted(RAW["augmenters"]))
def test_augment_runtime_is_plain_json(augmenter: str) -> None:
    told = augment_runtime(load_config(RAW), augmenter, 2)

    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_augment_slice_without_model_has_no_task() -> None:
    parts = json.loads(experiment.augment_slice(load_config(RAW), "mine", "copy"))

    assert sorted(parts) == ["augmenter", "method_version"]


def test_aggregate_slice_knows_no_runtime(change: Change) -> None:
    parts = json.loads(experiment.aggregate_slice(load_config(change("except", [{"trial": 7}]))))["config"]

    assert parts["except"] == [{"trial": 7}]
    assert not {"results", "cache", "except_"} & set(parts)
    assert parts["threads"] == {"train": 1}  # and not those of an augmentation


def test_a_reports_config_makes_the_same_experiment() -> None:
    told = experiment.aggregate_slice(load_config(RAW))
    again = load_config(json.loads(told)["config"])

    assert experiment.aggregate_slice(again) == told
    assert sorted(map(str, runs(again))) == sorted(map(str, runs(load_config(RAW))))


def test_seeds_come_from_master_or_list() -> None:
    config = load_config(RAW)

    assert data_seeds(config) == spawn_seeds(42, 3) == [2746317213, 1181241943, 958682846]
    assert trial_seeds(config) == [7, 8]


def test_seed_zero_stays_a_seed(change: Change) -> None:
    assert data_seeds(load_config(change("seeds.data", [0, 5]))) == [0, 5]


def test_runs_are_the_whole_product() -> None:
    keys = runs(load_config(RAW))

    assert len(keys) == len({tuple(key.values()) for key in keys}) == N_RUNS == 4 * 2 * 3 * 8 * 4 * 2
    assert all(list(key) == list(KEYS) for key in keys)
    assert keys[0] == {
        "dataset": "rt",
        "subsample": "16s",
        "data_seed": 2746317213,
        "augmenter": "none",
        "classifier": "minilm",
        "trial": 7,
    }


def test_runs_follow_the_configs_order() -> None:
    keys = runs(load_config(RAW))

    for name, section in {"dataset": "datasets", "augmenter": "augmenters", "classifier": "classifiers"}.items():
        assert list(dict.fromkeys(key[name] for key in keys)) == list(RAW[section])
    assert [key["trial"] for key in keys[:4]] == [7, 8, 7, 8]


@pytest.mark.parametrize(
    ("data", "trials", "pairs"),
    [
        ([1, 2], [7, 8], [(1, 7), (2, 8)]),
        ([1, 2], [7, 8, 9], [(1, 7), (2, 8), (1, 9)]),
        ([1], [7, 8], [(1, 7), (1, 8)]),
    ],
)
def test_paired_seeds_go_in_turn(
    change: Change, data: list[int], trials: list[int], pairs: list[tuple[int, int]]
) -> None:
    raw = {**change("seeds", {"data": data, "trials": trials, "design": "paired"}), "only": [ONE_CELL]}

    assert [(key["data_seed"], key["trial"]) for key in runs(load_config(raw))] == pairs


def test_paired_refuses_seeds_without_a_trial(change: Change) -> None:
    raw = change("seeds", {"data": [1, 2, 3], "trials": [7], "design": "paired"})
    with pytest.raises(ConfigError, match=r"seeds\.design: paired .* 3 data seeds and 1 trials"):
        runs(load_config(raw))


@pytest.mark.parametrize("section", ["only", "except"])
def test_a_key_that_matches_nothing_is_an_error(change: Change, section: str) -> None:
    raw = change(section, [{"augmenter": "mix"}, {"subsample": "17s"}])
    with pytest.raises(ConfigError, match=rf"^{section}\[1\]: .*'17s'.* matches none of {N_RUNS} runs"):
        runs(load_config(raw))


ONE_CELL = {"dataset": "rt", "subsample": "16s", "augmenter": "none", "classifier": "minilm"}


def test_crossed_seeds_make_all_pairs(change: Change) -> None:
    raw = {**change("seeds", {"data": [1, 2], "trials": [7, 8]}), "only": [ONE_CELL]}
    pairs = [(key["data_seed"], key["trial"]) for key in runs(load_config(raw))]

    assert pairs == [(1, 7), (1, 8), (2, 7), (2, 8)]


def test_only_keeps_any_match(change: Change) -> None:
    keys = runs(load_config(change("only", [{"augmenter": "mix", "dataset": "rt"}, {"augmenter": "none"}])))

    assert {(key["augmenter"], key["dataset"]) for key in keys} == {
        ("mix", "rt"),
        *(("none", name) for name in RAW["datasets"]),
    }


def test_except_leaves_matches_out(change: Change) -> None:
    keys = runs(load_config(change("except", [{"dataset": "rt"}, {"augmenter": "mix", "classifier": "slow"}])))

    assert {key["dataset"] for key in keys} == {"mine", "tone", "known"}
    assert ("mix", "slow") not in {(key["augmenter"], key["classifier"]) for key in keys}
    assert ("mix", "minilm") in {(key["augmenter"], key["classifier"]) for key in keys}


def test_except_is_stronger_than_only(change: Change) -> None:
    raw = {**change("only", [{"augmenter": "mix"}]), "except": [{"dataset": "rt"}]}

    assert {key["dataset"] for key in runs(load_config(raw))} == {"mine", "tone", "known"}


@pytest.mark.parametrize("seed", [8, "8"])
def test_seeds_narrow_as_number_or_text(change: Change, seed: int | str) -> None:
    assert {key["trial"] for key in runs(load_config(change("only", [{"trial": seed}])))} == {8}


def test_empty_product_is_an_error(change: Change) -> None:
    with pytest.raises(
        ConfigError, match=rf"^only and except leave none of {N_RUNS} runs; take an entry of them away$"
    ):
        runs(load_config({**change("only", [{"trial": 7}]), "except": [{"trial": 7}]}))


def test_baselines_are_controls_in_order(change: Change) -> None:
    augmenters = {
        "twice": {"method": "duplicate"},
        "mix": {"method": "gpt3mix", "llm": "local"},
        "plain": {"method": "none"},
        "copy": {"method": "duplicate"},
    }
    raw = {**change("report", {}), "augmenters": augmenters}

    assert baselines(load_config(raw)) == ["plain", "twice", "copy"]


def test_named_baselines_are_taken_as_given(change: Change) -> None:
    assert baselines(load_config(change("report.baselines", ["mix", "none"]))) == ["mix", "none"]
    assert baselines(load_config(change("report.baselines", []))) == []


# export


def test_the_only_dataset_is_exported(change: Change) -> None:
    only = load_config({**RAW, "datasets": {"mine": RAW["datasets"]["mine"]}})

    assert experiment.export_dataset(only) == "mine"
    assert experiment.export_dataset(load_config(change("export.dataset", "tone"))) == "tone"


def test_one_of_several_datasets_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"^export\.dataset: must be given.*has 4 datasets.*rt, mine, tone, known$"):
        experiment.export_dataset(load_config(RAW))


def of_one_dataset(**settings: Any) -> Config:
    return load_config({**RAW, "export": {"dataset": "mine", **settings.pop("export", {})}, **settings})


def test_classifiers_that_can_be_exported_are_told_in_order() -> None:
    assert experiment.exported_classifiers(load_config(RAW)) == ["minilm", "slow"]


@pytest.mark.parametrize("named", [{}, {"augmenter": "mix"}])
def test_no_classifier_that_can_be_exported_is_told(named: dict[str, str]) -> None:
    config = of_one_dataset(export=named, classifiers={name: RAW["classifiers"][name] for name in ("quick", "pairs")})
    with pytest.raises(ConfigError, match=r"^classifiers: none can be exported; wanted is one of method finetune or t"):
        experiment.check_export(config)


@pytest.mark.parametrize(
    ("named", "narrowing", "told"),
    [
        ({"classifier": "slow"}, {"except": [{"classifier": "slow"}]}, "the dataset 'mine', the classifier 'slow'"),
        ({"augmenter": "mix"}, {"except": [{"augmenter": "mix"}]}, "the dataset 'mine', the augmenter 'mix'"),
        ({"augmenter": "mix"}, {"only": [{"augmenter": "mix", "classifier": "quick"}]}, "the augmenter 'mix'"),
        ({}, {"only": [{"classifier": "quick"}, {"classifier": "pairs"}]}, "the dataset 'mine'"),
        ({}, {"except": [{"dataset": "mine"}]}, "the dataset 'mine'"),
    ],
)
def test_an_export_that_no_run_tells_of_is_refused(named: dict[str, str], narrowing: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment.check_export(of_one_dataset(export=named, **narrowing))

    assert str(caught.value).startswith("export: only and except leave no run with the dataset 'mine'")
    assert f"{told} whose classifier can be exported, " in str(caught.value)


@pytest.mark.parametrize(
    ("named", "narrowing"),
    [
        ({}, {}),
        ({"classifier": "slow"}, {"only": [{"classifier": "slow", "augmenter": "copy"}]}),
        ({"augmenter": "mix", "classifier": "slow"}, {"except": [{"classifier": "slow"}]}),  # nothing is left to choose
    ],
)
def test_an_export_that_can_be_chosen_is_fine(named: dict[str, str], narrowing: dict[str, Any]) -> None:
    config = of_one_dataset(export=named, **narrowing)
    experiment.check_export(config)

    assert config.export.dataset == "mine"


def test_an_export_of_several_datasets_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^export\.dataset: must be given"):
        experiment.check_export(load_config(RAW))


@pytest.mark.parametrize("design", ["crossed", "paired"])
def test_whole_draw_has_the_first_seeds(change: Change, design: str) -> None:
    raw = {**change("export.dataset", "mine"), "seeds": {"data": [5, 3], "trials": [7, 8], "design": design}}

    assert experiment.whole_draw(load_config(raw)) == {
        "dataset": "mine",
        "subsample": "all",
        "data_seed": 5,
        "trial": 7,
    }


def test_no_experiment_may_name_the_whole(change: Change) -> None:
    with pytest.raises(ConfigError, match=r"subsample\.train\[0\]: 'all' stands there"):
        load_config(change("subsample.train", [experiment.WHOLE]))


def test_fit_slice_holds_what_train_may_see() -> None:
    config = load_config(RAW)
    fit, train = json.loads(experiment.fit_slice(config, "slow")), json.loads(experiment.train_slice(config, "slow"))

    assert {name: fit[name] for name in ("classifier", "threads")} == {
        name: train[name] for name in ("classifier", "threads")
    }
    assert fit["train_version"] == train["method_version"]


def test_a_match_changes_no_exported_model(change: Change) -> None:
    """Nothing is compared with it, so that the rows of another augmenter are not asked for."""
    matched = load_config(change("classifiers.slow.match", "mix"))

    assert json.loads(experiment.train_slice(matched, "slow"))["classifier"]["match"] == "mix"
    assert json.loads(experiment.fit_slice(matched, "slow"))["classifier"]["match"] is None
    assert experiment.fit_slice(matched, "slow") == experiment.fit_slice(load_config(RAW), "slow")


def test_export_changes_no_report(change: Change) -> None:
    told = experiment.aggregate_slice(load_config(change("export.augmenter", "mix")))

    assert "export" not in json.loads(told)["config"]
    assert told == experiment.aggregate_slice(load_config(RAW))
