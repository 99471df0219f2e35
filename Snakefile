# Questline: raw game exports in, small specialist models out.
#
#   snakemake            every configured system         snakemake dnd        all runs of one system
#   snakemake dnd_dm_train | dnd_dm_validate | dnd_dm_convert | dnd_dm_deploy | dnd_dm_test
#   snakemake --configfile config/learn.yaml --config ... an overlay after it changes any key

from snakemake.utils import min_version

min_version("9.0")


# The default preset, unless a --configfile names another; more files after it go on top.
if not config:

    configfile: "config/demo.yaml"


include: "workflow/common.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/deploy.smk"
include: "workflow/rules/report.smk"


for system in CONFIG.systems():

    include: SYSTEMS[system].rule_file()


localrules:
    all,


rule all:
    """Everything that is configured."""
    default_target: True
    input:
        [
            path
            for system in CONFIG.systems()
            for path in artifacts.packages(CONFIG, SYSTEMS[system])
        ],
        "reports/index.html",


# `snakemake dnd` builds all runs of dnd; `snakemake dnd_dm_train` one stage of one run.
for target, files in artifacts.named_targets(CONFIG, SYSTEMS).items():

    rule:
        name:
            target
        input:
            files,
        localrule: True


remember()
