QUALITY_RUNTIME = {**experiment.quality_runtime(CONFIG, threads=1), "warm": WARM}


rule quality:
    """Measure the synthetic rows: copies, leaks, variety, labels."""
    input:
        **{name: path for name, path in splits("subsample", DRAW).items() if name != "validation"},
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        all_train=splits("prepare", "dataset={dataset}")["train"],
        all_test=splits("prepare", "dataset={dataset}")["test"],
        model=embedder_files(),
    output:
        quality=artefact("quality", AUGMENTATION, "quality"),
    log:
        f"{RESULTS}/logs/quality/{AUGMENTATION}.log",
    group:
        group_of("quality")
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(10),
        lane=1,
    params:
        slice=experiment.quality_slice(CONFIG),
        # Derived from output, so that Snakemake does not track it: it changes no result.
        run=lambda wildcards, output: QUALITY_RUNTIME,
    message:
        "quality of {wildcards.augmenter} on {wildcards.dataset} {wildcards.subsample}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/quality.py"
