# needs: test records, the base, the adapter, the GGUF files
# makes: reports/<system>/<run>/predictions/<variant>.jsonl, metrics.json (by the system's own scorer), gate.json


REPORT = "reports/{system}/{run}/"


rule predict:
    input:
        base=of_run(base_card),
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
        "python -m scripts.model.predict --variant {wildcards.variant:q} {params.model}"
        " --tokenizer {params.tokenizer:q} --records {input.records:q} --out {output.predictions:q}"
        " --params {params.options:q} --log {log:q}"


rule gate:
    input:
        metrics=f"{REPORT}metrics.json",
        certificate="models/{system}/{run}/gguf/certificate.json",
        quants=of_run(quant_files),
    output:
        gate=f"{REPORT}gate.json",
    log:
        "logs/{system}/{run}/gate.log",
    benchmark:
        "benchmarks/out/{system}/{run}/gate.tsv"
    conda:
        "../../envs/questline.yaml"
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
        "python -m scripts.model.gate --metrics {input.metrics:q} --certificate {input.certificate:q}"
        " --quant {params.quants:q} --out {output.gate:q} --params {params.options:q} --log {log:q}"
