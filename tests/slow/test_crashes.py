"""SIGKILL at random moments in every stage, with the embedded language model; a plain run after each makes it good."""

from __future__ import annotations

import logging
import random
import shutil
import time
from pathlib import Path

from tests.crashing import VICTIMS, Crashing, digests
from tests.workflow.conftest import Workspace, make_workspace

LOGGER = logging.getLogger(__name__)
TIMES = 30
TRIES = 5
STAGES = ("prepare", "subsample", "augment", "quality", "train", "evaluate", "aggregate")


def study(folder: Path, gemma: Path, bert: Path) -> Workspace:
    """Make a study of two runs, one of which asks the embedded language model."""
    folder.mkdir()
    workspace = make_workspace(folder, gemma, bert)
    del workspace.config["augmenters"]["duplicate"]
    workspace.config["seeds"]["data"] = [1]
    workspace.config["classifiers"]["minilm"] |= {"max_steps": 20, "validate_every": 1}
    return workspace


def test_thirty_kills_change_nothing(tmp_path: Path, gemma: Path, bert: Path) -> None:
    quiet = study(tmp_path / "quiet", gemma, bert)
    quiet.run()
    wanted = digests(quiet.results())
    workspace = study(tmp_path / "loud", gemma, bert)
    generator = random.Random(8)
    for time_no in range(TIMES):
        for path in (workspace.results(), workspace.folder / ".snakemake", workspace.folder / "cache" / "requests"):
            shutil.rmtree(path, ignore_errors=True)
        victim = ("all", "snakemake", *VICTIMS)[time_no % (2 + len(VICTIMS))]
        stage = generator.choice(("augment",) if victim == "server" else STAGES)
        assert kill_in(workspace, stage, victim, generator), f"{victim} in {stage} was never met"
        workspace.run()
        LOGGER.info("%d: %s in %s", 1 + time_no, victim, stage)
        assert digests(workspace.results()) == wanted, f"after {victim} in {stage}"


def kill_in(workspace: Workspace, stage: str, victim: str, generator: random.Random) -> bool:
    """Kill a process at a random moment after the first sign of a stage; try again if all was done before."""
    for _ in range(TRIES):
        crashing, seconds, seen = Crashing(workspace, generator.randrange(1 << 30)), generator.uniform(0.0, 1.0), 0.0

        def is_due(stage: str = stage, wait: float = seconds) -> bool:
            nonlocal seen
            if not seen and any((workspace.results() / "logs").glob(f"{stage}*")):
                seen = time.monotonic()
            return bool(seen) and time.monotonic() - seen >= wait

        if crashing.run(victim, is_due):
            return True
        shutil.rmtree(workspace.results(), ignore_errors=True)
    return False
