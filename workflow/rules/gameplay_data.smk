# needs: recordings under config `gameplay.recordings` (or those of a scripted player)
# makes: data/ingested/gameplay/<recording>, labels, train, val and test with pictures


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
        " --output {params.folder:q} --system-prompt={params.system_prompt:q} --health {params.health:q}"
        " --params {params.options:q} --log {log:q}"
