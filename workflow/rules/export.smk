rule export:
    input:
        unpack(drawn_whole),
        unpack(fitted),
        choice=rules.choose.output[0],
        runs=rules.aggregate.output.runs,
        summary=rules.aggregate.output.summary,
        verdict=rules.aggregate.output.verdict,
    output:
        directory(f"{RESULTS}/export"),
    log:
        f"{RESULTS}/logs/export.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        slice=lambda wildcards: experiment.export_slice(CONFIG, exported_license(wildcards)),
    message:
        "export the model to {output}"
    script:
        "../scripts/export.py"
