rule subsample:
    input:
        **splits("prepare", "dataset={dataset}"),
        groups=artefact("prepare", "dataset={dataset}", "groups"),
    output:
        **splits("subsample", DRAW),
    log:
        f"{RESULTS}/logs/subsample/{DRAW}.log",
    group:
        group_of("subsample")
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(5),
        lane=1,
    params:
        slice=experiment.subsample_slice(CONFIG),
    message:
        "subsample {wildcards.dataset} {wildcards.subsample}, data seed {wildcards.data_seed}"
    script:
        "../scripts/subsample.py"
