rule augment:
    """Write synthetic rows with each augmenter; the only stage that asks language models."""
    input:
        unpack(whole_splits),
        train=splits("subsample", DRAW)["train"],
        model=llm_files,
    output:
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        receipt=artefact("receipts", AUGMENTATION, "receipt"),
    log:
        f"{RESULTS}/logs/augment/{AUGMENTATION}.log",
    priority: 1
    group:
        group_of("augment")
    conda:
        "../../envs/hypermix.yaml"
    threads: CONFIG.threads.augment
    resources:
        **SHARES,
        mem_mb=growing(2000),
        runtime=augment_minutes(),
        lane=1,
        gpu=augment_gpus(),
    params:
        slice=lambda wildcards: augment_slice(wildcards.dataset, wildcards.augmenter),
        # Derived from output, so that Snakemake does not track it: it changes no result. It tells the place of a key.
        run=lambda wildcards, output: augment_runtime(wildcards.augmenter),
    message:
        "augment {wildcards.dataset} {wildcards.subsample} with {wildcards.augmenter}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/augment.py"
