"""What jobs ask of a cluster, and where they run. None of it changes a result, and profiles may set it anew."""

from hypermix.config import demand
from hypermix.config.augmenter import asked_llm

ON_CLUSTER = workflow.remote_exec or workflow.resource_settings.nodes is not None


# Elsewhere nobody reads these, and a function that is called for each of thousands of jobs takes a fifth of planning.
# A job that was ended for want of memory or time gets more of it when it is tried again (`retries` of the profile).
def growing(amount):
    """Ask for an amount at the first try, for twice as much at the second, and so on."""
    return (lambda wildcards, attempt: amount * attempt) if ON_CLUSTER else amount


def augment_minutes():
    """Tell after how many minutes an augmentation may be ended."""
    of = {name: demand.augmenter_minutes(CONFIG, name) for name in CONFIG.augmenters}
    return (lambda wildcards, attempt: attempt * of[wildcards.augmenter]) if ON_CLUSTER else max(of.values(), default=0)


def gpus_of(key, counts):
    """Tell how many GPUs a job needs by one of its wildcards; one number where all need as many."""
    alike = set(counts.values())
    return alike.pop() if len(alike) == 1 else lambda wildcards: counts[wildcards[key]]


def augment_gpus():
    """Tell how many GPUs an augmentation needs."""
    return gpus_of("augmenter", {name: demand.augmenter_gpus(CONFIG, name) for name in CONFIG.augmenters})


def train_gpus():
    """Tell how many GPUs a training needs."""
    return gpus_of("classifier", {name: demand.classifier_gpus(CONFIG, name) for name in CONFIG.classifiers})


def share_of(llm):
    """Count an augmentation if it asks a language model, so that few do at once however many cores there are."""
    return lambda wildcards: int(asked_llm(CONFIG.augmenters[wildcards.augmenter]) == llm)


# A profile limits the jobs that ask one at once, whatever the cores: `resources: {llm_NAME: 2}`.
SHARES = {
    resource: share_of(name)
    for name, resource in demand.endpoint_resources(CONFIG).items()
    if resource in workflow.global_resources
}


workflow.localrules(*CONFIG.login_node)
# What a cluster runs as one job; a profile says how many of them go together (`group-components`). An augmenter's rows
# are by themselves, since one that asks a language model takes long.
GROUPS = {
    "subsample": "draw",
    "augment": "rows-{augmenter}",
    "quality": "measure",
    "train": "run",
    "evaluate": "run",
}


def group_of(rule):
    """Name the group of a rule; what runs where Snakemake does has none."""
    return GROUPS[rule] if ON_CLUSTER and rule not in CONFIG.login_node else None
