"""The files of models that lie here: inputs of the rules that use them, so that new ones are noticed.

Each folder is read once: thousands of jobs may share it.
"""

from hypermix.config.augmenter import asked_llm
from hypermix.config.augmenter_offline import local_models


@cache
def model_files(model):
    """Name the files of a model that lies here, so that a new one under an old name is noticed."""
    path = Path(model).expanduser()
    if path.is_dir():
        return sorted(
            str(file) for file in path.iterdir() if file.suffix in {".json", ".model", ".safetensors", ".spm", ".txt"}
        )
    return [str(path)] if path.is_file() else []


@cache
def encoder_files(model):
    """Name the files of an encoder, with those of a sentence encoder's modules."""
    modules = Path(model).expanduser().glob("[0-9]*_*/*")
    return [*model_files(model), *sorted(str(file) for file in modules if file.is_file())]


@cache
def augmenter_files(name):
    """Name the files of the models that an augmenter asks or rewrites with; of a hosted one it has the name alone."""
    augmenter = CONFIG.augmenters[name]
    llm_name, relabel = asked_llm(augmenter), getattr(augmenter, "relabel", None)
    llm = CONFIG.llms[llm_name] if llm_name else None
    asked = model_files(llm.model) if llm and llm.api in {"embedded", "transformers"} else []
    relabeling = encoder_files(relabel.model) if relabel and relabel.by == "classifier" else []
    rewriting = [file for model in local_models(augmenter).values() for file in model_files(model)]
    return [*asked, *relabeling, *rewriting]


def llm_files(wildcards):
    """Name the files of the models that an augmentation works with."""
    return augmenter_files(wildcards.augmenter)


def classifier_files(wildcards):
    """Name the files of the model that a classifier starts from."""
    return encoder_files(CONFIG.classifiers[wildcards.classifier].model)


def embedder_files():
    """Name the files of the encoder that measures synthetic rows."""
    return encoder_files(CONFIG.quality.model)
