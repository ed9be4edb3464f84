# A checkpoint, since what `export` needs is known when the experiment is judged, and not before.
checkpoint choose:
    input:
        runs=rules.aggregate.output.runs,
        summary=rules.aggregate.output.summary,
        comparisons=rules.aggregate.output.comparisons,
    output:
        f"{RESULTS}/{CHOICE}",
    log:
        f"{RESULTS}/logs/choose.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(15),
    params:
        slice=experiment.choose_slice(CONFIG),
    message:
        "choose what to export"
    script:
        "../scripts/choose.py"
