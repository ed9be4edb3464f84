rule prepare:
    input:
        source_files,
    output:
        **splits("prepare", "dataset={dataset}"),
        groups=artefact("prepare", "dataset={dataset}", "groups"),
        profile=artefact("prepare", "dataset={dataset}", "profile"),
    log:
        f"{RESULTS}/logs/prepare/dataset={{dataset}}.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 2  # reads the next rows while it works on the last; results do not depend on it
    resources:
        mem_mb=growing(1500),
        runtime=growing(60),
    params:
        slice=lambda wildcards: experiment.prepare_slice(CONFIG, wildcards.dataset),
        # Derived from output, so that Snakemake does not track it: it changes no result.
        run=lambda wildcards, output: {"cache": CONFIG.cache},
    message:
        "prepare {wildcards.dataset}"
    script:
        "../scripts/prepare.py"
