"""Measure the synthetic rows of one draw."""

from pathlib import Path

from hypermix.steps import warm
from hypermix.steps.few import has_few

# Few rows are not measured, and need nothing of what a keeper imports.
few = has_few(Path(snakemake.input.synthetic))

warm.run(
    "hypermix.steps.quality",
    "" if few else snakemake.params.warm,
    snakemake.log[0],
    " ".join(["quality", *snakemake.wildcards]),
    keys=dict(snakemake.wildcards.items()),
    slice_json=snakemake.params.slice,
    inputs={name: Path(snakemake.input[name]) for name in ("synthetic", "train", "test", "all_train", "all_test")},
    runtime=snakemake.params.run,
    output=Path(snakemake.output.quality),
)
