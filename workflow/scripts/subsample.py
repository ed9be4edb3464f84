"""Draw the rows of one subsample."""

from pathlib import Path

from hypermix.steps import subsample
from hypermix.steps.job import job

with job(snakemake.log[0], " ".join(["subsample", *snakemake.wildcards])):
    subsample.run(
        keys=dict(snakemake.wildcards.items()),
        slice_json=snakemake.params.slice,
        inputs={name: Path(path) for name, path in snakemake.input.items()},
        outputs={name: Path(path) for name, path in snakemake.output.items()},
    )
