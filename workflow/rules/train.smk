rule train:
    input:
        **splits("subsample", DRAW),
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        matched=matched_rows,
        model=classifier_files,
    output:
        predictions=artefact("train", RUN, "predictions"),
        history=artefact("train", RUN, "history"),
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: CONFIG.threads.train
    resources:
        mem_mb=4000,
    params:
        slice=lambda wildcards: train_slice(wildcards.classifier),
        # Derived from threads, so that Snakemake does not track it: whether no second job can run beside this one.
        alone=lambda wildcards, threads: bool(workflow.cores) and workflow.cores < 2 * threads,
    message:
        "train {wildcards.classifier} on {wildcards.dataset} {wildcards.subsample} with {wildcards.augmenter}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/train.py"
