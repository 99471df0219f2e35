# needs: test records, the base, the adapter, the GGUF files
# makes: reports/<system>/<run>/predictions/<variant>.jsonl, metrics.json (by the system's own scorer), gate.json


REPORT = "reports/{system}/{run}/"


def variant_files(wildcards):
    """What a variant is made of; the tokenizer always comes from the base."""
    here = f"models/{wildcards.system}/{wildcards.run}"
    extra = {
        "base": [],
        "tuned": [
            f"{here}/adapter/adapter_model.safetensors",
            f"{here}/adapter/adapter_config.json",
        ],
    }
    return extra.get(wildcards.variant, [f"{here}/gguf/model-{wildcards.variant}.gguf"])


def variant_flags(wildcards, input):
    """How a variant is named to the stage."""
    base = Path(input.base).parent
    if wildcards.variant == "base":
        return f"--model {base}"
    if wildcards.variant == "tuned":
        return f"--model {base} --adapter {Path(input.files[0]).parent}"
    return f"--model {input.files[0]}"


rule predict:
    input:
        base=of_run(base_card),
        files=variant_files,
        records="data/curated/{system}/{run}/test.jsonl",
    output:
        predictions=REPORT + "predictions/{variant}.jsonl",
        stats=REPORT + "predictions/{variant}.stats.json",
    log:
        "logs/{system}/{run}/predict-{variant}.log",
    benchmark:
        "benchmarks/out/{system}/{run}/predict-{variant}.tsv"
    threads: workflow.cores
    resources:
        mem_mb=4000,
        runtime=120,
        disk_mb=100,
        gpu=1 if CONFIG.scope == "real" else 0,
    params:
        options=section("predict"),
        model=variant_flags,
        tokenizer=subpath(input.base, parent=True),
        code=code("scripts.model.predict"),
    shell:
        "{PYTHON:q} -m scripts.model.predict --variant {wildcards.variant:q} {params.model}"
        " --tokenizer {params.tokenizer:q} --records {input.records:q} --out {output.predictions:q}"
        " --params {params.options:q} --log {log:q}"


rule gate:
    input:
        metrics=REPORT + "metrics.json",
        certificate="models/{system}/{run}/gguf/certificate.json",
        quants=of_run(quant_files),
    output:
        gate=REPORT + "gate.json",
    log:
        "logs/{system}/{run}/gate.log",
    benchmark:
        "benchmarks/out/{system}/{run}/gate.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        disk_mb=10,
    params:
        options=section("gate"),
        quants=quant_flags,
        code=code("scripts.model.gate"),
    shell:
        "{PYTHON:q} -m scripts.model.gate --metrics {input.metrics:q} --certificate {input.certificate:q}"
        " --quant {params.quants:q} --out {output.gate:q} --params {params.options:q} --log {log:q}"
