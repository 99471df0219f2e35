# needs: test records, the base, the adapter, the GGUF files
# makes: reports/<system>/<run>/predictions/<variant>.jsonl, which the system's own scorer reads


REPORT = "reports/{system}/{run}/"


rule predict:
    """Answers the test cases with one variant. Config: `predict`, `scope`, `<system>.runs.<run>.base`."""
    input:
        base=of_run(artifacts.base_card),
        files=lambda wildcards: artifacts.variant_files(
            SYSTEMS[wildcards.system], run_of(wildcards), wildcards.variant
        ),
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
        model=lambda wildcards: artifacts.variant_flags(
            SYSTEMS[wildcards.system], run_of(wildcards), wildcards.variant
        ),
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
