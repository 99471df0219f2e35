# needs: the gate's verdict, the exported files, everything the card tells of
# makes: pictures of test windows, dist/aerial/<run>/ (SHA256SUMS stands for it), reports/aerial/<run>/verify.json


rule aerial_sheet:
    input:
        test="data/curated/aerial/{run}/test.jsonl",
        dataset="data/curated/aerial/{run}/dataset.json",
        onnx=rules.aerial_export.output.onnx,
        metrics="reports/aerial/{run}/metrics.json",
        gate="reports/aerial/{run}/gate.json",
    output:
        sheet="reports/aerial/{run}/sheet.jpg",
    log:
        "logs/aerial/{run}/sheet.log",
    benchmark:
        "benchmarks/out/aerial/{run}/sheet.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=4000,
        runtime=20,
        disk_mb=20,
    params:
        onnx=lambda wildcards, input: str(Path(input.onnx[0]).parent),
        root=sessions_root(),
        code=code("scripts.aerial.world.sheet"),
    shell:
        "python -m scripts.aerial.world.sheet --input {params.root:q} --test {input.test:q} --onnx {params.onnx:q}"
        " --metrics {input.metrics:q} --gate {input.gate:q} --out {output.sheet:q} --log {log:q}"


rule aerial_deploy:
    input:
        gate="reports/aerial/{run}/gate.json",
        metrics="reports/aerial/{run}/metrics.json",
        certificate="models/aerial/{run}/onnx/certificate.json",
        onnx=rules.aerial_export.output.onnx,
        weights="models/aerial/{run}/model/model.safetensors",
        config="models/aerial/{run}/model/config.json",
        training="models/aerial/{run}/training/training_metadata.json",
        stats="data/curated/aerial/{run}/stats.json",
        test="data/curated/aerial/{run}/test.jsonl",
        dataset="data/curated/aerial/{run}/dataset.json",
    output:
        sums="dist/aerial/{run}/SHA256SUMS",
    log:
        "logs/aerial/{run}/deploy.log",
    benchmark:
        "benchmarks/out/aerial/{run}/deploy.tsv"
    # Before the report, which tells of the package but is not drawn again for it.
    priority: 10
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=4000,
        runtime=20,
        disk_mb=2000,
    params:
        options=world_section("deploy"),
        model=subpath(input.weights, parent=True),
        onnx=lambda wildcards, input: str(Path(input.onnx[0]).parent),
        root=sessions_root(),
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.aerial.world.deploy"),
    shell:
        "python -m scripts.aerial.world.deploy --gate {input.gate:q} --model {params.model:q} --onnx {params.onnx:q}"
        " --metrics {input.metrics:q} --certificate {input.certificate:q} --training {input.training:q}"
        " --stats {input.stats:q} --input {params.root:q} --test {input.test:q} {params.labels:q}"
        " --out dist/aerial/{wildcards.run:q} --params {params.options:q} --log {log:q}"


rule aerial_verify:
    input:
        sums="dist/aerial/{run}/SHA256SUMS",
    output:
        result="reports/aerial/{run}/verify.json",
    log:
        "logs/aerial/{run}/verify.log",
    benchmark:
        "benchmarks/out/aerial/{run}/verify.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=4000,
        runtime=20,
        disk_mb=10,
    params:
        package=subpath(input.sums, parent=True),
        code=code("scripts.aerial.world.replay"),
    shell:
        "python -m scripts.aerial.world.replay {params.package:q} --out {output.result:q} --log {log:q}"
