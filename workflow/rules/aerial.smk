# needs: curated windows of sessions
# makes: models/aerial/<run>/model (safetensors), onnx (float32, int8, certificate), scores, the gate's verdict


WINDOWS = "data/curated/aerial/{run}/"
WORLD = "models/aerial/{run}/"


rule aerial_train:
    input:
        train=f"{WINDOWS}train.jsonl",
        val=f"{WINDOWS}val.jsonl",
        dataset=f"{WINDOWS}dataset.json",
        pretrained=pretrained_file,
    output:
        weights=f"{WORLD}model/model.safetensors",
        config=f"{WORLD}model/config.json",
        metadata=f"{WORLD}training/training_metadata.json",
        curve=f"{WORLD}training/loss.jsonl",
    log:
        "logs/aerial/{run}/train.log",
    benchmark:
        "benchmarks/out/aerial/{run}/train.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=8000,
        runtime=3000,
        disk_mb=4000,
        gpu=lambda wildcards: (
            max(1, len(CONFIG.world_run(wildcards.run).train.gpus))
            if CONFIG.scope == "real"
            else 0
        ),
    params:
        options=world_section("train", exclude=set(WORLD_WATCHED)),
        # Where it runs and how it is watched: Snakemake never compares a parameter that is derived from the input.
        watch=lambda wildcards, input: as_json(
            CONFIG.world_run(wildcards.run).train, include=set(WORLD_WATCHED)
        ),
        model=world_section("model"),
        root=sessions_root(),
        code=code("scripts.aerial.world.train"),
    shell:
        "python -m scripts.aerial.world.train --input {params.root:q} --train {input.train:q} --val {input.val:q}"
        " --out models/aerial/{wildcards.run:q} --work models/.work/aerial/{wildcards.run:q}"
        " --model {params.model:q} --params {params.options:q} --watch {params.watch:q} --log {log:q}"


rule aerial_export:
    input:
        weights=f"{WORLD}model/model.safetensors",
        config=f"{WORLD}model/config.json",
        test=f"{WINDOWS}test.jsonl",
        dataset=f"{WINDOWS}dataset.json",
    output:
        onnx=[f"{WORLD}onnx/model-{name}.onnx" for name in ("f32", "int8")],
        certificate=f"{WORLD}onnx/certificate.json",
    log:
        "logs/aerial/{run}/export.log",
    benchmark:
        "benchmarks/out/aerial/{run}/export.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=8000,
        runtime=120,
        disk_mb=2000,
    params:
        options=world_section("export"),
        model=subpath(input.weights, parent=True),
        root=sessions_root(),
        folder=subpath(output.certificate, parent=True),
        code=code("scripts.aerial.world.export"),
    shell:
        "python -m scripts.aerial.world.export --input {params.root:q} --test {input.test:q} --model {params.model:q}"
        " --out {params.folder:q} --params {params.options:q} --log {log:q}"


rule aerial_score:
    input:
        test=f"{WINDOWS}test.jsonl",
        val=f"{WINDOWS}val.jsonl",
        dataset=f"{WINDOWS}dataset.json",
        weights=f"{WORLD}model/model.safetensors",
        config=f"{WORLD}model/config.json",
        onnx=rules.aerial_export.output.onnx,
    output:
        metrics="reports/aerial/{run}/metrics.json",
    log:
        "logs/aerial/{run}/score.log",
    benchmark:
        "benchmarks/out/aerial/{run}/score.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=8000,
        runtime=600,
        disk_mb=50,
        gpu=1 if CONFIG.scope == "real" else 0,
    params:
        options=world_section("score"),
        model=subpath(input.weights, parent=True),
        onnx=onnx_flags,
        root=sessions_root(),
        scope=CONFIG.scope,
        code=code("scripts.aerial.world.score"),
    shell:
        "python -m scripts.aerial.world.score --input {params.root:q} --test {input.test:q} --val {input.val:q}"
        " --model {params.model:q} --onnx {params.onnx:q} --run {wildcards.run:q} --scope {params.scope:q}"
        " --out {output.metrics:q} --params {params.options:q} --log {log:q}"


rule aerial_gate:
    input:
        metrics="reports/aerial/{run}/metrics.json",
        certificate=f"{WORLD}onnx/certificate.json",
        onnx=rules.aerial_export.output.onnx,
    output:
        gate="reports/aerial/{run}/gate.json",
    log:
        "logs/aerial/{run}/gate.log",
    benchmark:
        "benchmarks/out/aerial/{run}/gate.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        disk_mb=10,
    params:
        options=world_section("gate"),
        onnx=onnx_flags,
        code=code("scripts.model.gate"),
    shell:
        "python -m scripts.model.gate --metrics {input.metrics:q} --certificate {input.certificate:q}"
        " --quant {params.onnx:q} --out {output.gate:q} --params {params.options:q} --log {log:q}"
