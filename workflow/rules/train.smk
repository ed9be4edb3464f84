rule train:
    """Train each classifier on real and synthetic rows, and predict validation and test."""
    input:
        **splits("subsample", DRAW),
        **MATCHED,
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        model=classifier_files,
    output:
        predictions=artefact("train", RUN, "predictions"),
        history=artefact("train", RUN, "history"),
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    wildcard_constraints:
        subsample="[0-9.]+[sf]",  # `fit` trains on all rows
    group:
        group_of("train")
    conda:
        "../../envs/hypermix.yaml"
    threads: CONFIG.threads.train
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
        lane=1,
        gpu=train_gpus(),
        # What a run takes of a GPU's memory; a profile sets it and the sum of all runs (docs/training.md, GPU).
        gpu_mb=0,
    params:
        slice=lambda wildcards: train_slice(wildcards.classifier),
        # Derived from output, so that Snakemake does not track it: it changes no result.
        run=lambda wildcards, output: train_runtime(),
    message:
        "train {wildcards.classifier} on {wildcards.dataset} {wildcards.subsample} with {wildcards.augmenter}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/train.py"
