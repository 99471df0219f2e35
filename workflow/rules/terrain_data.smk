# needs: map exports under config `terrain.exports` (or generated ones)
# makes: data/ingested/terrain/<map>/<shard> (8 × 8 tiles each), train, val and test with pictures


TERRAIN = CONFIG.terrain


rule terrain_generate:
    output:
        files="data/generated/terrain/{map}/files.json",
    log:
        "logs/terrain/generate-{map}.log",
    benchmark:
        "benchmarks/out/terrain/generate-{map}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
        disk_mb=4000,
    params:
        options=generated_map,
        folder=subpath(output.files, parent=True),
        code=code("scripts.terrain.generate"),
    shell:
        "python -m scripts.terrain.generate --out {params.folder:q} --params {params.options:q} --log {log:q}"


# The user's own exporter. Which tiles it writes, and so which shards there are, is known only afterwards.
checkpoint terrain_export:
    input:
        TERRAIN.export_inputs if TERRAIN else [],
    output:
        files="data/exported/terrain/{map}/files.json",
    log:
        "logs/terrain/export-{map}.log",
    benchmark:
        "benchmarks/out/terrain/export-{map}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
        disk_mb=50000,
    params:
        # A function: what looks like a wildcard in a plain text would be taken for one.
        command=lambda wildcards: TERRAIN.export_command,
        folder=subpath(output.files, parent=True),
        code=code("scripts.terrain.exporter"),
    shell:
        "python -m scripts.terrain.exporter --map {wildcards.map:q} --command {params.command:q}"
        " --out {params.folder:q} --log {log:q}"


rule terrain_ingest:
    input:
        files=shard_inputs,
    output:
        tiles="data/ingested/terrain/{map}/{shard}/tiles.jsonl",
        quarantine="data/ingested/terrain/{map}/{shard}/quarantine.jsonl",
        manifest="data/ingested/terrain/{map}/{shard}/manifest.json",
    log:
        "logs/terrain/ingest-{map}-{shard}.log",
    benchmark:
        "benchmarks/out/terrain/ingest-{map}-{shard}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        disk_mb=200,
    params:
        export=lambda wildcards: TERRAIN_EXPORTS[wildcards.map].as_posix(),
        options=as_json(TERRAIN.ingest) if TERRAIN else "{}",
        check=as_json(TERRAIN.check) if TERRAIN else "{}",
        folder=subpath(output.tiles, parent=True),
        code=code("scripts.terrain.ingest"),
    shell:
        "python -m scripts.terrain.ingest --export {params.export:q} --shard {wildcards.shard:q}"
        " --out {params.folder:q} --check {params.check:q} --params {params.options:q} --log {log:q}"


rule terrain_curate:
    input:
        manifests=shard_manifests,
    output:
        train="data/curated/terrain/{run}/train.jsonl",
        val="data/curated/terrain/{run}/val.jsonl",
        test="data/curated/terrain/{run}/test.jsonl",
        stats="data/curated/terrain/{run}/stats.json",
        pictures="data/curated/terrain/{run}/pictures.json",
        quarantine="data/curated/terrain/{run}/quarantine.jsonl",
    log:
        "logs/terrain/{run}/curate.log",
    benchmark:
        "benchmarks/out/terrain/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=1000,
    params:
        shards=lambda wildcards, input: [
            str(Path(name).parent) for name in input.manifests
        ],
        system_prompt=lambda wildcards: CONFIG.run(
            "terrain", wildcards.run
        ).system_prompt,
        options=as_json(TERRAIN.curate) if TERRAIN else "{}",
        ingest=as_json(TERRAIN.ingest) if TERRAIN else "{}",
        check=as_json(TERRAIN.check) if TERRAIN else "{}",
        folder=subpath(output.train, parent=True),
        code=code("scripts.terrain.curate"),
    shell:
        "python -m scripts.terrain.curate --input {params.shards:q} --output {params.folder:q}"
        " --system-prompt={params.system_prompt:q} --ingest {params.ingest:q} --check {params.check:q}"
        " --params {params.options:q} --log {log:q}"
