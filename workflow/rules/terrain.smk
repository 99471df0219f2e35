# needs: map exports under config `terrain.exports`, or your exporter, or generated maps
# makes: data/ingested/terrain/<map>/<shard> (8 × 8 tiles each), train, val and test with images, a contact sheet


from scripts.terrain.inputs import Exports

TERRAIN = CONFIG.terrain
# Which tiles an exporter writes, and so which shards there are, is known once it ran.
EXPORTS = checked(
    Exports, TERRAIN, lambda name: checkpoints.terrain_export.get(map=name)
)
INGESTED = "data/ingested/terrain/{map}/{shard}/"
CURATED = "data/curated/terrain/{run}/"


rule terrain_generate:
    """Generates a map and its export. Config: `terrain.generate`."""
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
        **resources("terrain_generate"),
    params:
        options=lambda wildcards: [
            as_json(made) for made in TERRAIN.generate if made.map == wildcards.map
        ],
        folder=subpath(output.files, parent=True),
        code=code("scripts.terrain.generate"),
    shell:
        "python -m scripts.terrain.generate"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


checkpoint terrain_export:
    """Runs your own exporter for a map: its tiles, and so its shards, are known only afterwards.

    Config: `terrain.{export_command, export_maps, export_inputs}`.
    """
    input:
        TERRAIN.export_inputs,
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
        **resources("terrain_export"),
    params:
        # A function: what looks like a wildcard in a plain text would be taken for one.
        command=lambda wildcards: TERRAIN.export_command,
        folder=subpath(output.files, parent=True),
        code=code("scripts.terrain.exporter"),
    shell:
        "python -m scripts.terrain.exporter"
        " --map {wildcards.map:q}"
        " --command {params.command:q}"
        " --out {params.folder:q}"
        " --log {log:q}"


rule terrain_ingest:
    """Reads and encodes the tiles of a shard. Config: `terrain.{exports, export_maps, generate, check, ingest}`."""
    input:
        files=lambda wildcards: checked(
            EXPORTS.shard_files, wildcards.map, wildcards.shard
        ),
    output:
        tiles=f"{INGESTED}tiles.jsonl",
        quarantine=f"{INGESTED}quarantine.jsonl",
        manifest=f"{INGESTED}manifest.json",
    log:
        "logs/terrain/ingest-{map}-{shard}.log",
    benchmark:
        "benchmarks/out/terrain/ingest-{map}-{shard}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("terrain_ingest"),
    params:
        export=lambda wildcards: EXPORTS.folders[wildcards.map].as_posix(),
        options=as_json(TERRAIN.ingest),
        check=as_json(TERRAIN.check),
        folder=subpath(output.tiles, parent=True),
        code=code("scripts.terrain.ingest"),
    shell:
        "python -m scripts.terrain.ingest"
        " --export {params.export:q}"
        " --shard {wildcards.shard:q}"
        " --out {params.folder:q}"
        " --check {params.check:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule terrain_curate:
    """Makes records of tiles and splits them by blocks.

    Config: `terrain.{exports, export_maps, generate, check, ingest, curate}`, `terrain.runs.<run>.system_prompt`.
    """
    input:
        manifests=lambda wildcards: checked(EXPORTS.shard_manifests),
    output:
        train=f"{CURATED}train.jsonl",
        val=f"{CURATED}val.jsonl",
        test=f"{CURATED}test.jsonl",
        stats=f"{CURATED}stats.json",
        pictures=f"{CURATED}pictures.json",
        quarantine=f"{CURATED}quarantine.jsonl",
    log:
        "logs/terrain/{run}/curate.log",
    benchmark:
        "benchmarks/out/terrain/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("terrain_curate"),
    params:
        shards=lambda wildcards, input: [
            str(Path(name).parent) for name in input.manifests
        ],
        system_prompt=of_run(lambda run: run.system_prompt, "terrain"),
        options=as_json(TERRAIN.curate),
        ingest=as_json(TERRAIN.ingest),
        check=as_json(TERRAIN.check),
        folder=subpath(output.train, parent=True),
        code=code("scripts.terrain.curate"),
    shell:
        "python -m scripts.terrain.curate"
        " --input {params.shards:q}"
        " --output {params.folder:q}"
        " --system-prompt={params.system_prompt:q}"
        " --ingest {params.ingest:q}"
        " --check {params.check:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule terrain_sheet:
    """Draws test tiles beside the ground rebuilt from their answers. Config: `export.quants`."""
    input:
        records=f"{CURATED}test.jsonl",
        form=f"{CURATED}stats.json",
        pictures=f"{CURATED}pictures.json",
        predictions=of_system(artifacts.predictions, "terrain"),
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
        **resources("terrain_sheet"),
    params:
        code=code("scripts.terrain.sheet"),
    shell:
        "python -m scripts.terrain.sheet"
        " --records {input.records:q}"
        " --predictions {input.predictions:q}"
        " --gate {input.gate:q}"
        " --out {output.sheet:q}"
        " --log {log:q}"
