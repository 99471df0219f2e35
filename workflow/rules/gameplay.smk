# needs: recordings under config `gameplay.recordings` (or those of a scripted player), a base that sees
# makes: data/ingested/gameplay/<recording>, labels, train, val and test with pictures, scores, counts in the game


GAMEPLAY = CONFIG.gameplay


rule gameplay_generate:
    output:
        files="data/generated/gameplay/files.json",
    log:
        "logs/gameplay/generate.log",
    benchmark:
        "benchmarks/out/gameplay/generate.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
        disk_mb=4000,
    params:
        options=as_json(GAMEPLAY.generate) if GAMEPLAY else "{}",
        folder=subpath(output.files, parent=True),
        code=code("scripts.gameplay.generate"),
    shell:
        "python -m scripts.gameplay.generate --out {params.folder:q} --params {params.options:q} --log {log:q}"


rule gameplay_ingest:
    input:
        files=recording_inputs,
    output:
        segments="data/ingested/gameplay/{recording}/segments.jsonl",
        quarantine="data/ingested/gameplay/{recording}/quarantine.jsonl",
        manifest="data/ingested/gameplay/{recording}/manifest.json",
    log:
        "logs/gameplay/ingest-{recording}.log",
    benchmark:
        "benchmarks/out/gameplay/ingest-{recording}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
        disk_mb=2000,
    params:
        recording=lambda wildcards: RECORDINGS[wildcards.recording].as_posix(),
        content=lambda wildcards: recording_content(wildcards.recording),
        options=as_json(GAMEPLAY.ingest) if GAMEPLAY else "{}",
        check=as_json(GAMEPLAY.check) if GAMEPLAY else "{}",
        folder=subpath(output.segments, parent=True),
        code=code("scripts.gameplay.ingest"),
    shell:
        "python -m scripts.gameplay.ingest --recording {params.recording:q} --out {params.folder:q}"
        " --check {params.check:q} --params {params.options:q} --log {log:q}"


rule gameplay_label:
    input:
        manifest="data/ingested/gameplay/{recording}/manifest.json",
        segments="data/ingested/gameplay/{recording}/segments.jsonl",
        asked=label_inputs(),
    output:
        labels="data/labelled/gameplay/{recording}.jsonl",
    log:
        "logs/gameplay/label-{recording}.log",
    benchmark:
        "benchmarks/out/gameplay/label-{recording}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=600,
        disk_mb=50,
    params:
        folder=subpath(input.manifest, parent=True),
        # A function: what looks like a wildcard in a plain text would be taken for one.
        options=lambda wildcards: as_json(GAMEPLAY.label),
        code=code("scripts.gameplay.label"),
    shell:
        "python -m scripts.gameplay.label --ingested {params.folder:q} --out {output.labels:q}"
        " --params {params.options:q} --log {log:q}"


rule gameplay_curate:
    input:
        manifests=expand(
            "data/ingested/gameplay/{recording}/manifest.json", recording=RECORDINGS
        ),
        segments=expand(
            "data/ingested/gameplay/{recording}/segments.jsonl", recording=RECORDINGS
        ),
        labels=expand("data/labelled/gameplay/{recording}.jsonl", recording=RECORDINGS),
    output:
        train="data/curated/gameplay/{run}/train.jsonl",
        val="data/curated/gameplay/{run}/val.jsonl",
        test="data/curated/gameplay/{run}/test.jsonl",
        stats="data/curated/gameplay/{run}/stats.json",
        pictures="data/curated/gameplay/{run}/pictures.json",
        quarantine="data/curated/gameplay/{run}/quarantine.jsonl",
    log:
        "logs/gameplay/{run}/curate.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=4000,
    params:
        folders=lambda wildcards, input: [
            str(Path(name).parent) for name in input.manifests
        ],
        system_prompt=lambda wildcards: CONFIG.run(
            "gameplay", wildcards.run
        ).system_prompt,
        options=as_json(GAMEPLAY.curate) if GAMEPLAY else "{}",
        health=as_json(GAMEPLAY.check.health) if GAMEPLAY else "{}",
        folder=subpath(output.train, parent=True),
        code=code("scripts.gameplay.curate"),
    shell:
        "python -m scripts.gameplay.curate --ingested {params.folders:q} --labels {input.labels:q}"
        " --output {params.folder:q} --system-prompt {params.system_prompt:q} --health {params.health:q}"
        " --params {params.options:q} --log {log:q}"


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
        " --train {input.train:q} --size {params.size:q} --system-prompt {params.system_prompt:q}"
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
        " --records {input.records:q} --size {params.size:q} --system-prompt {params.system_prompt:q}"
        " {params.labels:q} --out dist/gameplay/{wildcards.run:q} --params {params.options:q} --log {log:q}"
