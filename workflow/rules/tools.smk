# needs: a tool schema, and tool-call examples under config `tools.examples` (or generated ones), a base
# makes: each specialist's train, val and test, coverage.md, stats.json, scores, specialist_config.json, package


TOOLS = CONFIG.tools


rule tools_generate:
    input:
        schema=TOOLS.tool_schema if TOOLS else [],
    output:
        manifest="data/generated/tools/manifest.json",
        statistics="data/generated/tools/statistics.json",
    log:
        "logs/tools/generate.log",
    benchmark:
        "benchmarks/out/tools/generate.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
        disk_mb=100,
    params:
        amount=(
            ["--count", TOOLS.generate.count, "--seed", TOOLS.generate.seed]
            if TOOLS
            else []
        ),
        folder=subpath(output.manifest, parent=True),
        content=schema_digest(),
        code=code("scripts.tools.generate"),
    shell:
        "python -m scripts.tools.generate --schema {input.schema:q} --out {params.folder:q} {params.amount:q}"
        " --log {log:q}"


rule tools_curate:
    input:
        schema=TOOLS.tool_schema if TOOLS else [],
        examples=example_files(),
    output:
        train="data/curated/tools/{run}/train.jsonl",
        val="data/curated/tools/{run}/val.jsonl",
        test="data/curated/tools/{run}/test.jsonl",
        openai=[
            f"data/curated/tools/{{run}}/{side}.openai.jsonl"
            for side in ("train", "val", "test")
        ],
        stats="data/curated/tools/{run}/stats.json",
        coverage="data/curated/tools/{run}/coverage.md",
        quarantine="data/curated/tools/{run}/quarantine.jsonl",
    log:
        "logs/tools/{run}/curate.log",
    benchmark:
        "benchmarks/out/tools/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=500,
    params:
        sources=example_sources(),
        run=lambda wildcards: specialist_flags(wildcards.run),
        options=as_json(TOOLS.curate) if TOOLS else "{}",
        check=as_json(TOOLS.check) if TOOLS else "{}",
        folder=subpath(output.train, parent=True),
        content=[schema_digest(), example_digest()],
        code=code("scripts.tools.curate"),
    shell:
        "python -m scripts.tools.curate --schema {input.schema:q} --examples {params.sources:q} {params.run:q}"
        " --out {params.folder:q} --check {params.check:q} --params {params.options:q} --log {log:q}"


rule tools_score:
    input:
        schema=TOOLS.tool_schema if TOOLS else [],
        records="data/curated/tools/{run}/test.jsonl",
        train="data/curated/tools/{run}/train.jsonl",
        predictions=lambda wildcards: prediction_files("tools", wildcards.run),
        stats=lambda wildcards: prediction_files("tools", wildcards.run, ".stats.json"),
    output:
        metrics="reports/tools/{run}/metrics.json",
        failures="reports/tools/{run}/failures.jsonl",
    log:
        "logs/tools/{run}/score.log",
    benchmark:
        "benchmarks/out/tools/{run}/score.tsv"
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
        content=schema_digest(),
        code=code("scripts.tools.score"),
    shell:
        "python -m scripts.tools.score --schema {input.schema:q} --records {input.records:q} --train {input.train:q}"
        " --predictions {input.predictions:q} --run {wildcards.run:q} --scope {params.scope:q}"
        " --out {output.metrics:q} --params {params.options:q} --log {log:q}"


rule tools_specialist:
    input:
        base=lambda wildcards: base_card("tools", wildcards.run),
        training="models/tools/{run}/training/training_metadata.json",
        train="data/curated/tools/{run}/train.jsonl",
    output:
        config="models/tools/{run}/adapter/specialist_config.json",
    log:
        "logs/tools/{run}/specialist.log",
    benchmark:
        "benchmarks/out/tools/{run}/specialist.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        disk_mb=10,
    params:
        description=lambda wildcards: TOOLS.runs[wildcards.run].description,
        code=code("scripts.tools.specialist"),
    shell:
        "python -m scripts.tools.specialist --run {wildcards.run:q} --description {params.description:q}"
        " --training {input.training:q} --train {input.train:q} --base-json {input.base:q}"
        " --out {output.config:q} --log {log:q}"


rule tools_deploy:
    input:
        gate="reports/tools/{run}/gate.json",
        metrics="reports/tools/{run}/metrics.json",
        certificate="models/tools/{run}/gguf/certificate.json",
        quants=lambda wildcards: quant_files("tools", wildcards.run),
        merged=lambda wildcards: merged_if_shipped("tools", wildcards.run),
        base=lambda wildcards: base_card("tools", wildcards.run),
        training="models/tools/{run}/training/training_metadata.json",
        stats="data/curated/tools/{run}/stats.json",
        specialist="models/tools/{run}/adapter/specialist_config.json",
        records="data/curated/tools/{run}/test.jsonl",
    output:
        sums="dist/tools/{run}/SHA256SUMS",
    log:
        "logs/tools/{run}/deploy.log",
    benchmark:
        "benchmarks/out/tools/{run}/deploy.tsv"
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
        options=lambda wildcards: as_json(CONFIG.run("tools", wildcards.run).deploy),
        system_prompt=lambda wildcards: CONFIG.run("tools", wildcards.run).system_prompt,
        merged=lambda wildcards, input: (
            ["--merged", str(Path(input.merged[0]).parent)] if input.merged else []
        ),
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.tools.deploy"),
    shell:
        "python -m scripts.tools.deploy --gate {input.gate:q} --gguf {input.quants:q} {params.merged:q}"
        " --metrics {input.metrics:q} --certificate {input.certificate:q} --base-json {input.base:q}"
        " --training {input.training:q} --stats {input.stats:q} --specialist {input.specialist:q} --records {input.records:q}"
        " --system-prompt={params.system_prompt:q} {params.labels:q}"
        " --out dist/tools/{wildcards.run:q} --params {params.options:q} --log {log:q}"
