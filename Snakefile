from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/subsample.smk"
include: "workflow/rules/augment.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/captions.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/choose.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/exported.smk"
include: "workflow/rules/export.smk"


rule all:
    default_target: True
    input:
        rules.aggregate.output,
