"""What an export reads: rows that are known, and a run that a checkpoint chooses."""


def drawn_whole(wildcards):
    """Name the rows that the exported model is trained on; they are known before its variant is chosen."""
    try:
        experiment.check_export(CONFIG)  # what the config tells comes before the experiment runs, not after it
        draw = experiment.whole_draw(CONFIG)
    except HypermixError as error:
        raise WorkflowError(str(error)) from None
    return {name: path.format(**draw) for name, path in splits("subsample", DRAW).items()}


def fitted(wildcards):
    """Name what the exported run made, once its variant is chosen."""
    made = {
        "synthetic": artefact("augment", AUGMENTATION, "synthetic"),
        "receipt": artefact("receipts", AUGMENTATION, "receipt"),
        "predictions": artefact("train", RUN, "predictions"),
        "metrics": artefact("evaluate", RUN, "metrics"),
        "model": f"{RESULTS}/train/{RUN}/model",
    }
    from hypermix.steps.choose import read_choice  # heavy, and no other target needs it

    choice = read_choice(Path(checkpoints.choose.get().output[0]))
    return {name: path.format(**choice) for name, path in made.items()}


def exported_license(wildcards):
    """Tell the license of the exported model's data, as far as it is known here."""
    name = experiment.export_dataset(CONFIG)
    return data_license(name, CONFIG.datasets[name], REGISTRY)
