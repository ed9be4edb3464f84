use rule train as fit with:
    """Train the exported model on all rows."""

    # Nothing is compared with an exported model, so that no match asks for the rows of another augmenter.
    input:
        **splits("subsample", DRAW),
        synthetic=artefact("augment", AUGMENTATION, "synthetic"),
        model=classifier_files,
    output:
        predictions=artefact("train", RUN, "predictions"),
        history=artefact("train", RUN, "history"),
        model=directory(f"{RESULTS}/train/{RUN}/model"),
    log:
        f"{RESULTS}/logs/fit/{RUN}.log",
    wildcard_constraints:
        subsample=experiment.WHOLE,
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=train_gpus(),
        gpu_mb=0,
    params:
        slice=lambda wildcards: experiment.fit_slice(CONFIG, wildcards.classifier),
    message:
        "fit {wildcards.classifier} to all rows of {wildcards.dataset} with {wildcards.augmenter}"
