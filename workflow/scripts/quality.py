"""Measure the synthetic rows of one draw."""

from pathlib import Path

import pyarrow.parquet as pq

from hypermix.augment.quality.catalog import LEAST
from hypermix.steps import warm

# So few rows are not measured, and need nothing of what a keeper imports.
few = pq.read_metadata(snakemake.input.synthetic).num_rows < LEAST

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
