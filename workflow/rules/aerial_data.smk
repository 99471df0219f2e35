# needs: city meshes under config `aerial.cities` (or generated ones), or sessions under `aerial.recorded`
# makes: data/ingested/aerial/<city>/<session> with a manifest each, windows of them: train, val and test


AERIAL = CONFIG.aerial
INGESTED = "data/ingested/aerial/{city}/"


rule aerial_generate:
    output:
        files="data/generated/aerial/{city}/files.json",
    log:
        "logs/aerial/generate-{city}.log",
    benchmark:
        "benchmarks/out/aerial/generate-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        disk_mb=500,
    params:
        options=generated_city,
        folder=subpath(output.files, parent=True),
        code=code("scripts.aerial.generate"),
    shell:
        "python -m scripts.aerial.generate --out {params.folder:q} --params {params.options:q} --log {log:q}"


rule aerial_fetch:
    input:
        archive=archive_input,
    output:
        files="data/fetched/aerial/{city}/source.json",
    log:
        "logs/aerial/fetch-{city}.log",
    benchmark:
        "benchmarks/out/aerial/fetch-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=600,
        disk_mb=50000,
    params:
        source=source_flags,
        options=lambda wildcards: as_json(
            AERIAL.cities[wildcards.city], include={"max_unpacked_gb"}
        ),
        folder=subpath(output.files, parent=True),
        code=code("scripts.aerial.fetch"),
    shell:
        "python -m scripts.aerial.fetch {params.source:q} --out {params.folder:q} --params {params.options:q}"
        " --log {log:q}"


rule aerial_check:
    input:
        meshes=city_inputs,
    output:
        report=f"{INGESTED}meshes.json",
    log:
        "logs/aerial/check-{city}.log",
    benchmark:
        "benchmarks/out/aerial/check-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        disk_mb=10,
    params:
        meshes=lambda wildcards: city_meshes(wildcards.city).as_posix(),
        options=as_json(AERIAL.mesh) if AERIAL else "{}",
        code=code("scripts.aerial.check"),
    shell:
        "python -m scripts.aerial.check {params.meshes:q} --out {output.report:q} --params {params.options:q}"
        " --log {log:q}"


# Snakemake removes the manifests beside the folders before it runs this again; sessions that are still what they
# should be stay in their folders, with their own manifests, and are not recorded anew.
rule aerial_sessions:
    input:
        meshes=f"{INGESTED}meshes.json",
    output:
        manifests=session_manifests(f"{INGESTED}{{session}}.json"),
    log:
        "logs/aerial/sessions-{city}.log",
    benchmark:
        "benchmarks/out/aerial/sessions-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        mem_mb=6000,
        runtime=600,
        disk_mb=50000,
    params:
        meshes=lambda wildcards: city_meshes(wildcards.city).as_posix(),
        options=(
            as_json(AERIAL, include={"mesh", "voxels", "sessions"}) if AERIAL else "{}"
        ),
        folder=subpath(input.meshes, parent=True),
        code=code("scripts.aerial.sessions"),
    shell:
        "python -m scripts.aerial.sessions --input {params.meshes:q} --output {params.folder:q}"
        " --params {params.options:q} --log {log:q}"


rule aerial_curate:
    input:
        manifests=windows_inputs(),
    output:
        train="data/curated/aerial/{run}/train.jsonl",
        val="data/curated/aerial/{run}/val.jsonl",
        test="data/curated/aerial/{run}/test.jsonl",
        dataset="data/curated/aerial/{run}/dataset.json",
        stats="data/curated/aerial/{run}/stats.json",
        frames="data/curated/aerial/{run}/frames.json",
        quarantine="data/curated/aerial/{run}/quarantine.jsonl",
    log:
        "logs/aerial/{run}/curate.log",
    benchmark:
        "benchmarks/out/aerial/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        disk_mb=500,
    params:
        root=lambda wildcards: sessions_root(),
        places=AERIAL.city_names if AERIAL else [],
        options=world_section("data"),
        folder=subpath(output.train, parent=True),
        content=recorded_content(),
        code=code("scripts.aerial.world.curate"),
    shell:
        "python -m scripts.aerial.world.curate --input {params.root:q} --place {params.places:q}"
        " --out {params.folder:q} --params {params.options:q} --log {log:q}"
