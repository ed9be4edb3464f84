"""Choose the variant that is worth exporting."""

from pathlib import Path

from hypermix.steps import choose
from hypermix.steps.job import job

with job(snakemake.log[0], "choose"):
    choose.run(
        slice_json=snakemake.params.slice,
        inputs={name: Path(path) for name, path in snakemake.input.items()},
        output=Path(snakemake.output[0]),
    )
