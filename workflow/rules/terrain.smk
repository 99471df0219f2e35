# needs: curated records and pictures, predictions, quantised models
# makes: scores, a contact sheet, the package dist/terrain/<run>


rule terrain_score:
    input:
        records="data/curated/terrain/{run}/test.jsonl",
        train="data/curated/terrain/{run}/train.jsonl",
        form="data/curated/terrain/{run}/stats.json",
        pictures="data/curated/terrain/{run}/pictures.json",
        predictions=lambda wildcards: prediction_files("terrain", wildcards.run),
        stats=lambda wildcards: prediction_files(
            "terrain", wildcards.run, ".stats.json"
        ),
    output:
        metrics="reports/terrain/{run}/metrics.json",
        failures="reports/terrain/{run}/failures.jsonl",
    log:
        "logs/terrain/{run}/score.log",
    benchmark:
        "benchmarks/out/terrain/{run}/score.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        disk_mb=50,
    params:
        options=as_json(CONFIG.score),
        scope=CONFIG.scope,
        code=code("scripts.terrain.score"),
    shell:
        "python -m scripts.terrain.score --records {input.records:q} --train {input.train:q}"
        " --predictions {input.predictions:q} --run {wildcards.run:q} --scope {params.scope:q}"
        " --out {output.metrics:q} --params {params.options:q} --log {log:q}"


rule terrain_sheet:
    input:
        records="data/curated/terrain/{run}/test.jsonl",
        form="data/curated/terrain/{run}/stats.json",
        pictures="data/curated/terrain/{run}/pictures.json",
        predictions=lambda wildcards: prediction_files("terrain", wildcards.run),
        gate="reports/terrain/{run}/gate.json",
    output:
        sheet="reports/terrain/{run}/sheet.jpg",
    log:
        "logs/terrain/{run}/sheet.log",
    benchmark:
        "benchmarks/out/terrain/{run}/sheet.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        disk_mb=20,
    params:
        code=code("scripts.terrain.sheet"),
    shell:
        "python -m scripts.terrain.sheet --records {input.records:q} --predictions {input.predictions:q}"
        " --gate {input.gate:q} --out {output.sheet:q} --log {log:q}"


rule terrain_deploy:
    input:
        gate="reports/terrain/{run}/gate.json",
        metrics="reports/terrain/{run}/metrics.json",
        certificate="models/terrain/{run}/gguf/certificate.json",
        quants=lambda wildcards: quant_files("terrain", wildcards.run),
        mmproj="models/terrain/{run}/gguf/mmproj.gguf",
        merged=lambda wildcards: merged_if_shipped("terrain", wildcards.run),
        base=lambda wildcards: base_card("terrain", wildcards.run),
        training="models/terrain/{run}/training/training_metadata.json",
        stats="data/curated/terrain/{run}/stats.json",
        records="data/curated/terrain/{run}/test.jsonl",
    output:
        sums="dist/terrain/{run}/SHA256SUMS",
    log:
        "logs/terrain/{run}/deploy.log",
    benchmark:
        "benchmarks/out/terrain/{run}/deploy.tsv"
    # Before the report, which tells of the package but is not drawn again for it.
    priority: 10
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=4000,
    params:
        options=lambda wildcards: as_json(CONFIG.run("terrain", wildcards.run).deploy),
        system_prompt=lambda wildcards: CONFIG.run(
            "terrain", wildcards.run
        ).system_prompt,
        merged=lambda wildcards, input: (
            ["--merged", str(Path(input.merged[0]).parent)] if input.merged else []
        ),
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.terrain.deploy"),
    shell:
        "python -m scripts.terrain.deploy --gate {input.gate:q} --gguf {input.quants:q} --mmproj {input.mmproj:q}"
        " {params.merged:q} --metrics {input.metrics:q} --certificate {input.certificate:q} --base-json {input.base:q}"
        " --training {input.training:q} --stats {input.stats:q} --records {input.records:q}"
        " --system-prompt={params.system_prompt:q} {params.labels:q}"
        " --out dist/terrain/{wildcards.run:q} --params {params.options:q} --log {log:q}"
