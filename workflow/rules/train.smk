# needs: curated records of a run, its base
# makes: models/<system>/<run>/adapter and training; checkpoints live in models/.work/<system>/<run>/<identity>


from scripts.lib.options.train import NOT_IDENTITY


rule train:
    """Trains an adapter. Config: `train`, `seed`, `scope`, `<system>.runs.<run>.{base, system_prompt}`."""
    input:
        base=of_run(artifacts.base_card),
        train="data/curated/{system}/{run}/train.jsonl",
        val="data/curated/{system}/{run}/val.jsonl",
    output:
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        config="models/{system}/{run}/adapter/adapter_config.json",
        metadata="models/{system}/{run}/training/training_metadata.json",
        curve="models/{system}/{run}/training/loss.jsonl",
    log:
        "logs/{system}/{run}/train.log",
    benchmark:
        "benchmarks/out/{system}/{run}/train.tsv"
    wildcard_constraints:
        system="|".join(LANGUAGE_SYSTEMS) or "none",
    # The long path of a run, from curation on, first; predictions fill what is left of the machine.
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("train"),
        # Processes in all, one a GPU, and the machines they are spread over; a profile may grant others.
        gpu=lambda wildcards: run_of(wildcards).train.processes if REAL else 0,
        nodes=lambda wildcards: run_of(wildcards).train.machines,
    params:
        options=section("train", exclude=set(NOT_IDENTITY)),
        # Where it runs and how it is watched: Snakemake never compares a parameter that is derived from the input.
        watch=lambda wildcards, input: section("train", include=set(NOT_IDENTITY))(
            wildcards
        ),
        system_prompt=lambda wildcards: run_of(wildcards).system_prompt,
        base=subpath(input.base, parent=True),
        code=code("scripts.model.train"),
    shell:
        "python -m scripts.model.train"
        " --base {params.base:q}"
        " --train {input.train:q}"
        " --val {input.val:q}"
        " --out models/{wildcards.system:q}/{wildcards.run:q}"
        " --work models/.work/{wildcards.system:q}/{wildcards.run:q}"
        " --processes {resources.gpu}"
        " --machines {resources.nodes}"
        " --system-prompt={params.system_prompt:q}"
        " --params {params.options:q}"
        " --watch {params.watch:q}"
        " --log {log:q}"
