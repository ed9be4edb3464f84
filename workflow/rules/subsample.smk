rule subsample:
    """Draw the rows of each size and data seed."""
    input:
        **splits("prepare", "dataset={dataset}"),
        groups=artefact("prepare", "dataset={dataset}", "groups"),
    output:
        **splits("subsample", DRAW),
    log:
        f"{RESULTS}/logs/subsample/{DRAW}.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        slice=experiment.subsample_slice(CONFIG),
    message:
        "subsample {wildcards.dataset} {wildcards.subsample}, data seed {wildcards.data_seed}"
    script:
        "../scripts/subsample.py"
