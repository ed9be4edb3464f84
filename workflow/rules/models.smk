"""The files of models that lie here: inputs of the rules that use them, so that new ones are noticed."""

from hypermix.config import model_files


def llm_files(wildcards):
    """Name the files of the models that an augmentation asks."""
    return model_files.llm_files(CONFIG, wildcards.augmenter)


def rewriter_files(wildcards):
    """Name the files of the models that rewrite texts for an augmenter."""
    return model_files.rewriter_files(CONFIG, wildcards.augmenter)


def classifier_files(wildcards):
    """Name the files of the model that a classifier starts from."""
    return model_files.encoder_files(CONFIG.classifiers[wildcards.classifier].model)


def embedder_files():
    """Name the files of the encoder that measures synthetic rows."""
    return model_files.encoder_files(CONFIG.quality.model)
