# needs: curated records and pictures, predictions, quantised models
# makes: scores, counts in the game, the package dist/gameplay/<run>


rule gameplay_score:
    input:
        records="data/curated/gameplay/{run}/test.jsonl",
        train="data/curated/gameplay/{run}/train.jsonl",
        predictions=lambda wildcards: prediction_files("gameplay", wildcards.run),
        stats=lambda wildcards: prediction_files(
            "gameplay", wildcards.run, ".stats.json"
        ),
    output:
        metrics="reports/gameplay/{run}/metrics.json",
        failures="reports/gameplay/{run}/failures.jsonl",
    log:
        "logs/gameplay/{run}/score.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/score.tsv"
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
        code=code("scripts.gameplay.score"),
    shell:
        "python -m scripts.gameplay.score --records {input.records:q} --train {input.train:q}"
        " --predictions {input.predictions:q} --run {wildcards.run:q} --scope {params.scope:q}"
        " --out {output.metrics:q} --params {params.options:q} --log {log:q}"


rule gameplay_loop:
    input:
        gate="reports/gameplay/{run}/gate.json",
        quants=lambda wildcards: quant_files("gameplay", wildcards.run),
        mmproj="models/gameplay/{run}/gguf/mmproj.gguf",
        train="data/curated/gameplay/{run}/train.jsonl",
    output:
        counts="reports/gameplay/{run}/loop.json",
        speed="reports/gameplay/{run}/loop.speed.json",
        sheets=expand(
            "reports/gameplay/{{run}}/episode{number}.jpg", number=EPISODE_SHEETS
        ),
    log:
        "logs/gameplay/{run}/loop.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/loop.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=3000,
        runtime=120,
        disk_mb=50,
    params:
        system_prompt=lambda wildcards: CONFIG.run(
            "gameplay", wildcards.run
        ).system_prompt,
        size=GAMEPLAY.ingest.frame_size if GAMEPLAY else [],
        game=game_options(),
        options=as_json(GAMEPLAY.loop) if counts_in_game() else "{}",
        scope=CONFIG.scope,
        code=code("scripts.gameplay.loop"),
    shell:
        "python -m scripts.gameplay.loop --gguf {input.quants:q} --gate {input.gate:q} --mmproj {input.mmproj:q}"
        " --train {input.train:q} --size {params.size:q} --system-prompt={params.system_prompt:q}"
        " --game {params.game:q} --scope {params.scope:q} --out {output.counts:q} --params {params.options:q} --log {log:q}"


rule gameplay_deploy:
    input:
        gate="reports/gameplay/{run}/gate.json",
        loop=loop_counts,
        metrics="reports/gameplay/{run}/metrics.json",
        certificate="models/gameplay/{run}/gguf/certificate.json",
        quants=lambda wildcards: quant_files("gameplay", wildcards.run),
        mmproj="models/gameplay/{run}/gguf/mmproj.gguf",
        merged=lambda wildcards: merged_if_shipped("gameplay", wildcards.run),
        base=lambda wildcards: base_card("gameplay", wildcards.run),
        training="models/gameplay/{run}/training/training_metadata.json",
        stats="data/curated/gameplay/{run}/stats.json",
        records="data/curated/gameplay/{run}/test.jsonl",
    output:
        sums="dist/gameplay/{run}/SHA256SUMS",
    log:
        "logs/gameplay/{run}/deploy.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/deploy.tsv"
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
        options=lambda wildcards: as_json(CONFIG.run("gameplay", wildcards.run).deploy),
        system_prompt=lambda wildcards: CONFIG.run(
            "gameplay", wildcards.run
        ).system_prompt,
        merged=lambda wildcards, input: (
            ["--merged", str(Path(input.merged[0]).parent)] if input.merged else []
        ),
        loop=lambda wildcards, input: ["--loop", *input.loop] if input.loop else [],
        size=GAMEPLAY.ingest.frame_size if GAMEPLAY else [],
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.gameplay.deploy"),
    shell:
        "python -m scripts.gameplay.deploy --gate {input.gate:q} --gguf {input.quants:q} --mmproj {input.mmproj:q}"
        " {params.merged:q} {params.loop:q} --metrics {input.metrics:q} --certificate {input.certificate:q}"
        " --base-json {input.base:q} --training {input.training:q} --stats {input.stats:q}"
        " --records {input.records:q} --size {params.size:q} --system-prompt={params.system_prompt:q}"
        " {params.labels:q} --out dist/gameplay/{wildcards.run:q} --params {params.options:q} --log {log:q}"
