rule help:
    """Tell the targets and what they make."""
    log:
        f"{RESULTS}/logs/help.log",
    conda:
        "../../envs/hypermix.yaml"
    threads: 1
    params:
        # Asked when the rule runs, so that rules which are declared after this one are told too.
        rules=lambda wildcards: {rule.name: rule.docstring for rule in workflow.rules},
    message:
        "tell the targets"
    script:
        "../scripts/help.py"


localrules:
    help,
