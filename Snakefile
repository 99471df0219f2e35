# Questline: raw game exports in, small specialist models out.
#
#   snakemake            every configured system         snakemake dnd        all runs of one system
#   snakemake dnd_dm_train | dnd_dm_validate | dnd_dm_convert | dnd_dm_deploy | dnd_dm_test
#   snakemake --configfile config/learn.yaml --config ... an overlay after it changes any key


# Workflows that use this one as a module name that file, where Snakemake looks for it.
include: "workflow/Snakefile"


# The default target of an included file does not count.
workflow.default_target = "all"
