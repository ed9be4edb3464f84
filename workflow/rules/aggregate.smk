import json
import sys
import time
from pathlib import Path

from hypermix.steps.artefacts import AGGREGATE_OUTPUTS, input_paths


rule aggregate:
    input:
        **{kind: all_of(f"{RESULTS}/{path}") for kind, path in input_paths().items()},
    output:
        **{name: aggregate_output(name, path) for name, path in AGGREGATE_OUTPUTS.items()},
    log:
        f"{RESULTS}/logs/aggregate.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        slice=experiment.aggregate_slice(CONFIG),
    message:
        "aggregate {RESULTS}"
    script:
        "../scripts/aggregate.py"


STARTED = time.time()


# What the hooks tell with is imported there: packages of arrays and figures take seconds that no dry run needs.
onsuccess:
    from hypermix import tables
    from hypermix.report.console import summary_lines

    verdict = Path(rules.aggregate.output.verdict)
    # An older verdict is not about what was run now.
    if verdict.is_file() and verdict.stat().st_mtime >= STARTED:
        costs = tables.read(rules.aggregate.output.costs, "costs")
        told = summary_lines(json.loads(verdict.read_text(encoding="utf-8")), rules.aggregate.output.report, costs)
        sys.stderr.write("\n".join(["", *told, ""]))


onerror:
    from hypermix.steps.partial import tell_failure, word_command

    given = workflow.config_settings
    own = (
        []
        if given.replace_workflow_config
        else [name for name in workflow.configfiles if name not in given.configfiles]
    )
    try:
        told = tell_failure(CONFIG, word_command([*own, *given.configfiles], bool(given.config)))
    except HypermixError as error:
        told = [str(error)]
    sys.stderr.write("\n".join(["", *told, ""]))
