"""Measure the synthetic rows of one draw."""

from pathlib import Path

from hypermix.steps import warm
from hypermix.steps.few import has_few

warm.run(
    "hypermix.steps.few" if has_few(Path(snakemake.input.synthetic)) else "hypermix.steps.quality",
    snakemake.params.run["warm"],
    snakemake.log[0],
    " ".join(["quality", *snakemake.wildcards]),
    keys=dict(snakemake.wildcards.items()),
    slice_json=snakemake.params.slice,
    inputs={name: Path(snakemake.input[name]) for name in ("synthetic", "train", "test", "all_train", "all_test")},
    runtime={**snakemake.params.run, "threads": snakemake.threads},
    output=Path(snakemake.output.quality),
)
