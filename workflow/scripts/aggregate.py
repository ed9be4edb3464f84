"""Write the tables, the verdict and the report of an experiment."""

from pathlib import Path

from hypermix.steps import aggregate
from hypermix.steps.job import job

KINDS = ("metrics", "confusion", "calibration", "synthetic", "quality", "receipt", "profile", "history")

with job(snakemake.log[0], "aggregate"):
    aggregate.run(
        slice_json=snakemake.params.slice,
        inputs={kind: [Path(path) for path in snakemake.input.get(kind)] for kind in KINDS},
        outputs={name: Path(path) for name, path in snakemake.output.items()},
    )
