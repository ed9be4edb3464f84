"""Write the folder of the exported model, with its card."""

from pathlib import Path

from hypermix.steps import export
from hypermix.steps.job import job

with job(snakemake.log[0], "export") as logger:
    export.run(
        slice_json=snakemake.params.slice,
        inputs={name: Path(path) for name, path in snakemake.input.items()},
        output=Path(snakemake.output[0]),
    )
    logger.info("%s has the model and its card, README.md", snakemake.output[0])
