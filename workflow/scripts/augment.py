"""Make the synthetic rows of one draw."""

from pathlib import Path

from hypermix.steps import warm

warm.run(
    "hypermix.steps.augment",
    snakemake.params.run["warm"],
    snakemake.log[0],
    " ".join(["augment", *snakemake.wildcards]),
    keys=dict(snakemake.wildcards.items()),
    slice_json=snakemake.params.slice,
    inputs={
        name: Path(snakemake.input[name])
        for name in ("train", "further", "tested", "held")
        if snakemake.input.get(name)  # what the augmenter has no use for is not there
    },
    runtime={**snakemake.params.run, "threads": snakemake.threads},
    outputs={name: Path(path) for name, path in snakemake.output.items()},
)
