"""Score the predictions of one run."""

from pathlib import Path

from hypermix.steps import warm

warm.run(
    "hypermix.steps.evaluate",
    snakemake.params.warm,
    snakemake.log[0],
    " ".join(["evaluate", *snakemake.wildcards]),
    keys=dict(snakemake.wildcards.items()),
    slice_json=snakemake.params.slice,
    predictions=Path(snakemake.input.predictions),
    outputs={name: Path(path) for name, path in snakemake.output.items()},
)
