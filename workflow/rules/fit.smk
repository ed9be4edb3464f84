rule fit:
    input:
        **splits("subsample", DRAW),
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        matched=matched_rows,
        model=classifier_files,
    output:
        predictions=artefact("train", RUN, "predictions"),
        history=artefact("train", RUN, "history"),
        model=directory(f"{RESULTS}/train/{RUN}/model"),
    log:
        f"{RESULTS}/logs/fit/{RUN}.log",
    wildcard_constraints:
        subsample=experiment.WHOLE,
    conda:
        "../../envs/hypermix.yaml"
    threads: CONFIG.threads.train
    resources:
        mem_mb=8000,
        gpu_mb=0,
    params:
        slice=lambda wildcards: experiment.fit_slice(CONFIG, wildcards.classifier),
        # Derived from threads, so that Snakemake does not track them: they change no result.
        run=lambda wildcards, threads: experiment.train_runtime(CONFIG),
        warm=lambda wildcards, threads: WARM,
    message:
        "fit {wildcards.classifier} to all rows of {wildcards.dataset} with {wildcards.augmenter}"
    script:
        "../scripts/fit.py"
