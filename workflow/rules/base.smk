# needs: config `bases`
# makes: models/base/<name>/ (weights, tokenizer, config) and base.json, which names every file with its hash


rule base:
    output:
        card="models/base/{base}/base.json",
    log:
        "logs/base/{base}.log",
    benchmark:
        "benchmarks/out/base/{base}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
        disk_mb=4000,
    params:
        options=lambda wildcards: as_json(CONFIG.bases[wildcards.base]),
        code=base_code,
    shell:
        "python -m scripts.model.base --name {wildcards.base:q}"
        " --out models/base/{wildcards.base:q} --params {params.options:q} --log {log:q}"
