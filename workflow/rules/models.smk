"""The files of models that lie here: inputs of the rules that use them, so that new ones are noticed.

Each folder is read once: thousands of jobs may share it. They stay here also where results lie in a storage; jobs that
read them then run where Snakemake does, if it shares no files with the nodes.
"""

from hypermix.config import model_files


@cache
def augmenter_files(name):
    """Name the files of the models that an augmenter asks, and then of those that it rewrites with."""
    return local([*model_files.llm_files(CONFIG, name), *model_files.rewriter_files(CONFIG, name)])


@cache
def encoder_files(model):
    """Name the files of an encoder."""
    return local(model_files.encoder_files(model))


def llm_files(wildcards):
    """Name the files of the models that an augmentation works with."""
    return augmenter_files(wildcards.augmenter)


def classifier_files(wildcards):
    """Name the files of the model that a classifier starts from."""
    return encoder_files(CONFIG.classifiers[wildcards.classifier].model)


def embedder_files():
    """Name the files of the encoder that measures synthetic rows."""
    return encoder_files(CONFIG.quality.model)
