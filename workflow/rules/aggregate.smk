import json
import sys
import time
from pathlib import Path

from hypermix import tables
from hypermix.report.console import summary_lines
from hypermix.report.outputs import file_outputs


def aggregate_file(path, name):
    """Name a figure or a table; one form of each stands in Snakemake's own report."""
    kind, what, form = name.split("_")
    if form not in ("svg", "csv"):
        return path
    labels = {"what": what, "form": form}
    return report(path, caption=f"../report/{kind}_{what}.rst", category=f"{kind.capitalize()}s", labels=labels)

# What second looks at the runs make.
OPINIONS = ["classes", "calibration", "variance", "opinions", "ranks"]


rule aggregate:
    input:
        metrics=all_of(artefact("evaluate", RUN, "metrics")),
        confusion=all_of(artefact("confusion", RUN, "confusion")),
        calibration=all_of(artefact("calibration", RUN, "calibration")),
        synthetic=all_of(artefact("augment", AUGMENTATION, "synthetic")),
        quality=all_of(artefact("quality", AUGMENTATION, "quality")),
        receipt=all_of(artefact("receipts", AUGMENTATION, "receipt")),
        profile=all_of(artefact("prepare", "dataset={dataset}", "profile")),
        history=all_of(artefact("train", RUN, "history")),
    output:
        **{
            name: f"{RESULTS}/aggregate/{name}.parquet"
            for name in ["runs", "summary", "comparisons", "costs", "quality", *OPINIONS]
        },
        verdict=f"{RESULTS}/aggregate/verdict.json",
        report=report(
            f"{RESULTS}/aggregate/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"what": "the whole report"},
        ),
        **{
            name: aggregate_file(f"{RESULTS}/aggregate/{path}", name)
            for name, path in file_outputs().items()
        },
    log:
        f"{RESULTS}/logs/aggregate.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        slice=experiment.aggregate_slice(CONFIG),
    message:
        "aggregate {RESULTS}"
    script:
        "../scripts/aggregate.py"


STARTED = time.time()


onsuccess:
    verdict = Path(rules.aggregate.output.verdict)
    # An older verdict is not about what was run now.
    if verdict.is_file() and verdict.stat().st_mtime >= STARTED:
        costs = tables.read(rules.aggregate.output.costs, "costs")
        told = summary_lines(json.loads(verdict.read_text(encoding="utf-8")), rules.aggregate.output.report, costs)
        sys.stderr.write("\n".join(["", *told, ""]))
