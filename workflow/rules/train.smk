rule train:
    input:
        **splits("subsample", DRAW),
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        model=classifier_files,
    output:
        predictions=artefact("train", RUN, "predictions"),
        history=artefact("train", RUN, "history"),
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    wildcard_constraints:
        subsample="[0-9.]+[sf]",  # `fit` trains on all rows
    conda:
        "../../envs/hypermix.yaml"
    threads: CONFIG.threads.train
    resources:
        mem_mb=4000,
    params:
        slice=lambda wildcards: train_slice(wildcards.classifier),
    message:
        "train {wildcards.classifier} on {wildcards.dataset} {wildcards.subsample} with {wildcards.augmenter}, data seed {wildcards.data_seed}, trial {wildcards.trial}"
    script:
        "../scripts/train.py"
