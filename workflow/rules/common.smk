"""The checked config, the paths of all artefacts, and what each rule may see of the config."""

import sys
from functools import cache
from pathlib import Path
from secrets import token_hex

from snakemake.exceptions import WorkflowError

from hypermix.config import experiment
from hypermix.config.load import check_files, load_config
from hypermix.config.registry import REGISTRY_PATH, data_license, read_registry
from hypermix.disk import check_folder
from hypermix.errors import HypermixError
from hypermix.names import is_url
from hypermix.steps import locks, warm
from hypermix.steps.artefacts import CHOICE

try:
    REGISTRY = read_registry(Path(workflow.basedir) / REGISTRY_PATH)
    CONFIG = load_config(config, REGISTRY)
    check_files(CONFIG)
    RUNS = experiment.runs(CONFIG)
except HypermixError as error:
    raise WorkflowError(str(error)) from None

RESULTS = CONFIG.results
SPLITS = ["train", "validation", "test"]
# What the jobs of this process find their keepers by. The jobs of a cluster are of other processes and have none.
WARM = token_hex(16)

# Each path is its key; a later stage adds what it depends on.
DRAW = "dataset={dataset}/subsample={subsample}/data_seed={data_seed}"
AUGMENTATION = f"{DRAW}/augmenter={{augmenter}}/trial={{trial}}"
RUN = f"{DRAW}/augmenter={{augmenter}}/classifier={{classifier}}/trial={{trial}}"


wildcard_constraints:
    dataset="[A-Za-z0-9_-]+",
    subsample=f"[0-9.]+[sf]|{experiment.WHOLE}",
    data_seed="[0-9]+",
    augmenter="[A-Za-z0-9_-]+",
    classifier="[A-Za-z0-9_-]+",
    trial="[0-9]+",


def splits(stage, key):
    """Name the three tables of a stage."""
    return {name: f"{RESULTS}/{stage}/{key}/{name}.parquet" for name in SPLITS}


def artefact(stage, key, table):
    """Name one table of a stage."""
    return f"{RESULTS}/{stage}/{key}/{table}.parquet"


def all_of(template):
    """Name an artefact of every run; runs that share an augmentation name it once."""
    return list(dict.fromkeys(template.format(**key) for key in RUNS))


def source_files(wildcards):
    """Name the user's files behind a dataset; what lies elsewhere has no time of change to track."""
    source = CONFIG.datasets[wildcards.dataset]
    names = [getattr(source, name) for name in SPLITS if source.source == "file"]
    return local([name for name in names if name is not None and not is_url(name)])  # here, wherever results lie


def whole_splits(wildcards):
    """Name the other splits that an augmentation reads, such as the whole train of further real rows."""
    keys = {"prepare": f"dataset={wildcards.dataset}", "subsample": DRAW.format(**dict(wildcards.items()))}
    reads = experiment.augment_reads(CONFIG, wildcards.dataset, wildcards.augmenter)
    return {purpose: splits(stage, keys[stage])[split] for purpose, (stage, split) in reads.items()}


def matched_rows(wildcards):
    """Name the rows that a classifier counts its steps by, if it is matched with an augmenter."""
    match = experiment.matched(CONFIG, wildcards.classifier)
    key = {**dict(wildcards.items()), "augmenter": match}
    return [artefact("augment", AUGMENTATION, "synthetic").format(**key)] if match else []


# Where no classifier is matched, no job of a training is asked.
MATCHED = {"matched": matched_rows} if any(experiment.matched(CONFIG, name) for name in CONFIG.classifiers) else {}


# One canonical JSON text a rule: Snakemake compares params as a set without their names.
@cache
def augment_slice(dataset, augmenter):
    """Cut what `augment` may see, once for all draws."""
    return experiment.augment_slice(CONFIG, dataset, augmenter)


@cache
def train_slice(classifier):
    """Cut what `train` may see, once for all runs."""
    return experiment.train_slice(CONFIG, classifier)


# Snakemake does not track a param that is derived from output: what changes no result reaches a job by one. From threads
# would do as well, but then Snakemake works out the resources of every job at each start. Scripts add the threads.
@cache
def augment_runtime(augmenter):
    """Tell an augmentation what changes no result."""
    return {**experiment.augment_runtime(CONFIG, augmenter, threads=1), "warm": WARM}


@cache
def train_runtime():
    """Tell a training what changes no result: whether the hub may be asked, and whether it is the only job that runs."""
    cores = workflow.resource_settings.cores or 0  # a cluster sets none
    alone = 0 < cores < 2 * min(CONFIG.threads.train, cores)
    return {**experiment.train_runtime(CONFIG), "alone": alone, "warm": WARM}


def keep_warm():
    """Start what the jobs of this process share: their imports."""
    warm.start(WARM, [f"hypermix.steps.{stage}" for stage in ("augment", "few", "quality", "train", "evaluate")])


# A job of a cluster is started by a run that holds the folder.
if not (workflow.remote_exec or workflow.subprocess_exec) and locks.enter(Path(".snakemake"), RESULTS):
    sys.stderr.write(
        "Another run was killed here; its lock is forgotten, and what it had not finished is made again.\n"
    )

# A group of jobs on a cluster is a process that runs no hooks; a job of its own has nobody to share with.
if workflow.remote_exec and "--local-groupid" in sys.argv:
    keep_warm()


onstart:
    try:
        check_folder(Path(RESULTS))
    except HypermixError as error:
        raise WorkflowError(str(error)) from None
    keep_warm()
