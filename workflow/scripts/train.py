"""Train one classifier and predict with it, by the rule `train`, or `fit`, which keeps it."""

from pathlib import Path

from hypermix.steps import warm

warm.run(
    "hypermix.steps.train",
    snakemake.params.run["warm"],
    snakemake.log[0],
    " ".join([snakemake.rule, *snakemake.wildcards]),
    keys=dict(snakemake.wildcards.items()),
    slice_json=snakemake.params.slice,
    inputs={
        name: Path(str(snakemake.input[name]))
        for name in ("train", "validation", "test", "synthetic", "matched")
        if snakemake.input.get(name)  # without a match there is no such file
    },
    outputs={name: Path(path) for name, path in snakemake.output.items()},
    runtime=snakemake.params.run,
)
