rule evaluate:
    """Compute the metrics of each run."""
    input:
        predictions=artefact("train", RUN, "predictions"),
    # Trees of their own, so that pandas reads results/evaluate as one table.
    output:
        **{name: artefact(name, RUN, name) for name in ["confusion", "calibration"]},
        metrics=artefact("evaluate", RUN, "metrics"),
    log:
        f"{RESULTS}/logs/evaluate/{RUN}.log",
    group:
        group_of("evaluate")
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(5),
        lane=1,
    params:
        slice=experiment.evaluate_slice(),
        # Derived from output, so that Snakemake does not track it.
        run=lambda wildcards, output: {"warm": WARM},
    message:
        "evaluate {wildcards.classifier} on {wildcards.dataset} {wildcards.subsample} with {wildcards.augmenter}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/evaluate.py"
