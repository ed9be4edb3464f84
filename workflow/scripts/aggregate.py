"""Write the tables, the verdict and the report of an experiment."""

from pathlib import Path

from hypermix.steps import aggregate
from hypermix.steps.artefacts import AGGREGATE_INPUTS
from hypermix.steps.job import job

with job(snakemake.log[0], "aggregate"):
    aggregate.run(
        slice_json=snakemake.params.slice,
        inputs={kind: [Path(path) for path in snakemake.input.get(kind)] for kind in AGGREGATE_INPUTS},
        outputs={name: Path(path) for name, path in snakemake.output.items()},
    )
