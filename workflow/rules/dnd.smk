# needs: scenario Markdown under config `dnd.scenarios`, a base's tokenizer
# makes: data/curated/dnd/registry.json and tools.md, and each run's train, val, test and stats


rule dnd_tools:
    input:
        scenarios=scenario_files(),
        extra=CONFIG.dnd.extra_tools or [] if CONFIG.dnd else [],
    output:
        registry="data/curated/dnd/registry.json",
        page="data/curated/dnd/tools.md",
    log:
        "logs/dnd/tools.log",
    benchmark:
        "benchmarks/out/dnd/tools.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
        disk_mb=100,
    params:
        sources=CONFIG.dnd.scenarios if CONFIG.dnd else [],
        extra=(
            ["--extra", CONFIG.dnd.extra_tools]
            if CONFIG.dnd and CONFIG.dnd.extra_tools
            else []
        ),
        content=scenario_digest(),
        code=code("scripts.dnd.tools"),
    shell:
        "python -m scripts.dnd.tools scan {params.sources:q} {params.extra:q} --out {output.registry:q} --log {log:q}"
        " && python -m scripts.dnd.tools document {output.registry:q} --out {output.page:q}"


rule dnd_curate:
    input:
        scenarios=scenario_files(),
        registry="data/curated/dnd/registry.json",
        base=lambda wildcards: base_card("dnd", wildcards.run),
    output:
        train="data/curated/dnd/{run}/train.jsonl",
        val="data/curated/dnd/{run}/val.jsonl",
        test="data/curated/dnd/{run}/test.jsonl",
        stats="data/curated/dnd/{run}/stats.json",
        quarantine="data/curated/dnd/{run}/quarantine.jsonl",
    log:
        "logs/dnd/{run}/curate.log",
    benchmark:
        "benchmarks/out/dnd/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=200,
    params:
        sources=CONFIG.dnd.scenarios if CONFIG.dnd else [],
        system_prompt=lambda wildcards: CONFIG.run("dnd", wildcards.run).system_prompt,
        options=as_json(CONFIG.dnd.curate) if CONFIG.dnd else "{}",
        check=as_json(CONFIG.dnd.check) if CONFIG.dnd else "{}",
        folder=subpath(output.train, parent=True),
        tokenizer=subpath(input.base, parent=True),
        content=scenario_digest(),
        code=code("scripts.dnd.curate"),
    shell:
        "python -m scripts.dnd.curate {params.sources:q} --registry {input.registry:q} --base {params.tokenizer:q}"
        " --system-prompt={params.system_prompt:q} --out {params.folder:q} --check {params.check:q}"
        " --params {params.options:q} --log {log:q}"


rule dnd_score:
    input:
        records="data/curated/dnd/{run}/test.jsonl",
        train="data/curated/dnd/{run}/train.jsonl",
        registry="data/curated/dnd/registry.json",
        predictions=lambda wildcards: prediction_files("dnd", wildcards.run),
        stats=lambda wildcards: prediction_files("dnd", wildcards.run, ".stats.json"),
    output:
        metrics="reports/dnd/{run}/metrics.json",
        failures="reports/dnd/{run}/failures.jsonl",
    log:
        "logs/dnd/{run}/score.log",
    benchmark:
        "benchmarks/out/dnd/{run}/score.tsv"
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
        code=code("scripts.dnd.score"),
    shell:
        "python -m scripts.dnd.score --records {input.records:q} --train {input.train:q}"
        " --registry {input.registry:q} --predictions {input.predictions:q} --run {wildcards.run:q}"
        " --scope {params.scope:q} --out {output.metrics:q} --params {params.options:q} --log {log:q}"


rule dnd_deploy:
    input:
        gate="reports/dnd/{run}/gate.json",
        metrics="reports/dnd/{run}/metrics.json",
        certificate="models/dnd/{run}/gguf/certificate.json",
        quants=lambda wildcards: quant_files("dnd", wildcards.run),
        merged=lambda wildcards: merged_if_shipped("dnd", wildcards.run),
        base=lambda wildcards: base_card("dnd", wildcards.run),
        training="models/dnd/{run}/training/training_metadata.json",
        stats="data/curated/dnd/{run}/stats.json",
        registry="data/curated/dnd/registry.json",
        records="data/curated/dnd/{run}/test.jsonl",
    output:
        sums="dist/dnd/{run}/SHA256SUMS",
    log:
        "logs/dnd/{run}/deploy.log",
    benchmark:
        "benchmarks/out/dnd/{run}/deploy.tsv"
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
        options=lambda wildcards: as_json(CONFIG.run("dnd", wildcards.run).deploy),
        system_prompt=lambda wildcards: CONFIG.run("dnd", wildcards.run).system_prompt,
        merged=lambda wildcards, input: (
            ["--merged", str(Path(input.merged[0]).parent)] if input.merged else []
        ),
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.dnd.deploy"),
    shell:
        "python -m scripts.dnd.deploy --gate {input.gate:q} --gguf {input.quants:q} {params.merged:q}"
        " --metrics {input.metrics:q} --certificate {input.certificate:q} --base-json {input.base:q}"
        " --training {input.training:q} --stats {input.stats:q} --registry {input.registry:q}"
        " --records {input.records:q} --system-prompt={params.system_prompt:q} {params.labels:q}"
        " --out dist/dnd/{wildcards.run:q} --params {params.options:q} --log {log:q}"
