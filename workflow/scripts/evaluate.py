"""Score the predictions of one run."""

from pathlib import Path

from hypermix.steps import evaluate
from hypermix.steps.job import job

with job(snakemake.log[0], " ".join(["evaluate", *snakemake.wildcards])):
    evaluate.run(
        keys=dict(snakemake.wildcards.items()),
        slice_json=snakemake.params.slice,
        predictions=Path(snakemake.input.predictions),
        output=Path(snakemake.output.metrics),
    )
