"""Make up all files of a workflow, and what Snakemake would have recorded of them: no job runs.

    python benchmarks/graph_record.py SNAKEFILE [CONFIG]

Part of graph_scale.py, in a process of its own: it reads Snakemake's inner parts.
"""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.persistence import RECORD_FORMAT_VERSION
from snakemake.settings.types import ConfigSettings, ResourceSettings


@cache
def digest(path: str) -> str:
    """Word the sum of a file as Snakemake does."""
    return f"sha256:{sha256(Path(path).read_bytes()).hexdigest()}"


def record(persistence: Any, job: Any) -> None:
    """Write the files of a job, empty, and their records."""
    for file in job.output:
        path = Path(str(file))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    now = time.time()
    fields = {
        "starttime": now,
        "endtime": now,
        "incomplete": False,
        "record_format_version": RECORD_FORMAT_VERSION,
        "rule": job.rule.name,
        "code": persistence._code(job.rule),
        "input": persistence._input(job),
        "log": persistence._log(job),
        "params": persistence._params(job),
        "shellcmd": job.shellcmd,
        "job_hash": hash(job),
        "conda_env": persistence._conda_env(job),
        "software_stack_hash": persistence._software_stack_hash(job),
        "container_img_url": job.container_img_url,
        "input_checksums": {str(file): digest(str(file)) for file in job.input},
    }
    text = json.dumps(fields)
    for file in job.output:
        place = Path(persistence._record_path(persistence._metadata_path, str(file)))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def main() -> None:
    """Plan the workflow and record every job, in the order in which they would run."""
    snakefile, *config = map(Path, sys.argv[1:])
    settings = ConfigSettings(configfiles=config, replace_workflow_config=bool(config))
    with SnakemakeApi() as api:
        planned = api.workflow(ResourceSettings(cores=1), config_settings=settings, snakefile=snakefile)
        planned.dag()
        workflow = planned._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        for jobs in workflow.dag.toposorted():
            for job in sorted(jobs, key=str):
                if job.output:
                    record(workflow.persistence, job)


if __name__ == "__main__":
    main()
