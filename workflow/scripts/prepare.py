"""Bring a dataset into its three splits."""

from pathlib import Path

from hypermix.steps import prepare
from hypermix.steps.job import job

with job(snakemake.log[0], f"prepare {snakemake.wildcards.dataset}"):
    prepare.run(
        dataset=snakemake.wildcards.dataset,
        slice_json=snakemake.params.slice,
        cache=Path(snakemake.params.run["cache"]),
        outputs={name: Path(path) for name, path in snakemake.output.items()},
    )
