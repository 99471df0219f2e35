# needs: test records, the base, the adapter, the GGUF files
# makes: reports/<system>/<run>/predictions/<variant>.jsonl, which the system's own scorer reads


REPORT = "reports/{system}/{run}/"


def variant_files(wildcards):
    """What a variant is made of; the tokenizer always comes from the base."""
    folder, variant = f"models/{wildcards.system}/{wildcards.run}", wildcards.variant
    system = SYSTEMS[wildcards.system]
    if variant == "base":
        return []
    if variant == "tuned" or variant in system.predictions:
        return [
            f"{folder}/adapter/{name}"
            for name in ("adapter_model.safetensors", "adapter_config.json")
        ]
    return [
        f"{folder}/gguf/model-{variant}.gguf",
        *artifacts.projector(system, run_of(wildcards)),
    ]


def variant_flags(wildcards):
    """How a variant is named to the stage."""
    base, files = Path(artifacts.base_card(run_of(wildcards))).parent, variant_files(
        wildcards
    )
    if wildcards.variant == "base":
        return ["--model", base]
    if not files[0].endswith(".gguf"):
        changed = SYSTEMS[wildcards.system].predictions.get(wildcards.variant)
        return [
            "--model",
            base,
            "--adapter",
            Path(files[0]).parent,
            *([changed.flag] if changed else []),
        ]
    return [
        "--model",
        files[0],
        *(part for file in files[1:] for part in ("--mmproj", file)),
    ]


rule predict:
    """Answers the test cases with one variant. Config: `predict`."""
    input:
        base=of_run(artifacts.base_card),
        files=variant_files,
        records="data/curated/{system}/{run}/test.jsonl",
    output:
        predictions=f"{REPORT}predictions/{{variant}}.jsonl",
        stats=f"{REPORT}predictions/{{variant}}.stats.json",
    log:
        "logs/{system}/{run}/predict-{variant}.log",
    benchmark:
        "benchmarks/out/{system}/{run}/predict-{variant}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("predict"),
        gpu=int(REAL),
    params:
        options=section("predict"),
        model=variant_flags,
        tokenizer=subpath(input.base, parent=True),
        code=code("scripts.model.predict"),
    shell:
        "python -m scripts.model.predict"
        " --variant {wildcards.variant:q}"
        " {params.model:q}"
        " --tokenizer {params.tokenizer:q}"
        " --records {input.records:q}"
        " --out {output.predictions:q}"
        " --params {params.options:q}"
        " --log {log:q}"
