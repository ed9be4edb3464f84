"""Train a classifier on all rows, and keep it."""

from pathlib import Path

from hypermix.steps import train
from hypermix.steps.job import job

with job(snakemake.log[0], " ".join(["fit", *snakemake.wildcards])):
    train.run(
        keys=dict(snakemake.wildcards.items()),
        slice_json=snakemake.params.slice,
        inputs={name: Path(snakemake.input[name]) for name in ("train", "validation", "test", "synthetic")},
        outputs={name: Path(path) for name, path in snakemake.output.items()},
    )
