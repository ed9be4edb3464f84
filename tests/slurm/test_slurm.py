"""The workflow on a real SLURM of one node, by the profile that ships."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.crashing import digests
from tests.extending import write_metadata
from tests.slurm.conftest import Study, jobs, last_job, query, wait_for

HUNGRY = '''
"""An augmenter that needs 2.6 GB, or time."""

import time
from dataclasses import dataclass
from pathlib import Path

from hypermix.augment.base import one_hot
from hypermix.records import SyntheticRow


@dataclass(frozen=True)
class Hungry:
    settings: dict
    material: object
    attempts: int = 1
    most_requests: int = 0

    @property
    def n_rows(self):
        return 1

    def rehearse(self, example, turn):
        return example.text

    def talk(self, slot):
        yield from ()
        example = self.material.examples[slot.row]
        labels = self.material.task.labels
        eaten = b"1" * {eaten}
        time.sleep({seconds})
        del eaten
        return SyntheticRow(
            slot.row, "more " + example.text, example.label, one_hot(example.label, labels), "fed", 1.0,
            (example.id,), None, None,
        )
'''


def add_augmenter(study: Study, eaten: int, seconds: float) -> None:
    """Make a study of one augmenter, of a package that needs memory and time; all before it runs on the login node."""
    site = study.folder / "site"
    site.mkdir()
    text = HUNGRY.replace("{eaten}", str(eaten)).replace("{seconds}", str(seconds))
    (site / "hungry_rows.py").write_text(text, encoding="utf-8")
    write_metadata(site, "hungry-rows", "1.0", "[hypermix.augmenters]\nhungry = hungry_rows:Hungry\n")
    paths = [str(site), str(Path(__file__).parent / "often"), os.environ.get("PYTHONPATH", "")]
    study.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    study.config["augmenters"] = {"hungry": {"method": "custom", "name": "hungry"}}
    study.config["login_node"] = ["prepare", "subsample"]


def test_chain_on_slurm_equals_a_local_run(study: Study, reference: dict[str, str]) -> None:
    """All stages, several jobs of the workflow in one of SLURM, trainings with a GPU of a model."""
    before = last_job()
    study.submit("--set-resources", "train:gpu=1", "train:gpu_model=toy")

    assert digests(study.results()) == reference
    ended = jobs(before)
    assert {job["JobState"] for job in ended} == {"COMPLETED"}
    # prepare; draw; rows of two augmenters; measures; two trainings with their evaluations; aggregate
    assert len(ended) == 7
    with_gpu = [job for job in ended if "gpu:toy:1" in str(job)]
    assert [job["MinMemoryNode"] for job in with_gpu] == ["4000M"]


def test_job_without_enough_memory_is_tried_again_with_more(study: Study) -> None:
    """SLURM ends it at 2,000 MB; what runs on the login node is no job of SLURM."""
    add_augmenter(study, eaten=2_600_000_000, seconds=3)
    before = last_job()
    told = study.submit("--until", "augment")

    assert "Trying to restart" in told
    assert [(job["MinMemoryNode"], job["JobState"] == "COMPLETED") for job in jobs(before)] == [
        ("2000M", False),
        ("4000M", True),
    ]
    assert len(list((study.results() / "augment").rglob("synthetic.parquet"))) == 1


def test_job_that_is_cancelled_is_told(study: Study) -> None:
    add_augmenter(study, eaten=1, seconds=120)
    before = last_job()
    with study.start("--until", "augment", "--retries", "0") as process:
        try:
            assert wait_for(lambda: any(job["JobState"] == "RUNNING" for job in jobs(before)))
            query("scancel", jobs(before)[0]["JobId"])
            told, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    assert process.returncode == 1
    assert "CANCELLED" in told
    assert [job["JobState"] for job in jobs(before)] == ["CANCELLED"]
    assert not list(study.results().rglob("synthetic.parquet"))


def test_jobs_of_a_rule_are_an_array(study: Study) -> None:
    study.config["datasets"]["other"] = {**study.config["datasets"]["mine"], "text_type": "another review"}
    before = last_job()
    study.submit("--until", "prepare", "--slurm-array-jobs", "prepare")

    ended = jobs(before)
    assert len(ended) == 2
    assert len({job["ArrayJobId"] for job in ended}) == 1
    assert sorted(path.parent.name for path in (study.results() / "prepare").rglob("profile.parquet")) == [
        "dataset=mine",
        "dataset=other",
    ]
