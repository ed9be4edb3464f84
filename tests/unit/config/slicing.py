"""All slices of a config, by the jobs that see them."""

from __future__ import annotations

from hypermix.config import experiment
from hypermix.config.model import Config

Job = tuple[str, ...]
"""A stage, and the variants that its slice is cut for."""


def slices(config: Config) -> dict[Job, str]:
    """Return all slices of a config, by stage and variants."""
    return {
        **{("prepare", name): experiment.prepare_slice(config, name) for name in config.datasets},
        ("subsample",): experiment.subsample_slice(config),
        **{
            ("augment", dataset, name): experiment.augment_slice(config, dataset, name)
            for dataset in config.datasets
            for name in config.augmenters
        },
        **{("train", name): experiment.train_slice(config, name) for name in config.classifiers},
        ("quality",): experiment.quality_slice(config),
        ("evaluate",): experiment.evaluate_slice(),
        ("aggregate",): experiment.aggregate_slice(config),
        ("choose",): experiment.choose_slice(config),
        **{("fit", name): experiment.fit_slice(config, name) for name in config.classifiers},
        ("export",): experiment.export_slice(config, "MIT"),
    }


def differing(before: Config, after: Config) -> set[Job]:
    """Return the jobs whose slices two configs of the same variants have otherwise."""
    old, new = slices(before), slices(after)
    return {job for job in old.keys() | new.keys() if old.get(job) != new.get(job)}
