# needs: city meshes under config `aerial.cities`, or generated ones
# makes: data/ingested/aerial/<city>/<session> with a manifest each; the rules of aerial_world.smk learn from them


from scripts.aerial.inputs import (
    city_files,
    city_meshes,
    session_manifests,
    source_flags,
)

AERIAL = CONFIG.aerial
SESSIONS = "data/ingested/aerial/{city}/"


rule aerial_generate:
    """Generates the mesh of a city. Config: `aerial.generate`."""
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
        **resources("aerial_generate"),
    params:
        options=lambda wildcards: [
            as_json(made) for made in AERIAL.generate if made.name == wildcards.city
        ],
        folder=subpath(output.files, parent=True),
        code=code("scripts.aerial.generate"),
    shell:
        "python -m scripts.aerial.generate"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule aerial_fetch:
    """Downloads or unpacks a city's meshes. Config: `aerial.cities.<city>`."""
    input:
        archive=lambda wildcards: AERIAL.cities[wildcards.city].path or [],
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
        **resources("aerial_fetch"),
    params:
        source=lambda wildcards: source_flags(AERIAL.cities[wildcards.city]),
        options=lambda wildcards: as_json(
            AERIAL.cities[wildcards.city], include={"max_unpacked_gb"}
        ),
        folder=subpath(output.files, parent=True),
        code=code("scripts.aerial.fetch"),
    shell:
        "python -m scripts.aerial.fetch"
        " {params.source:q}"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule aerial_check:
    """Checks a city's meshes. Config: `aerial.mesh`."""
    input:
        meshes=lambda wildcards: checked(city_files, AERIAL, wildcards.city),
    output:
        report=f"{SESSIONS}meshes.json",
    log:
        "logs/aerial/check-{city}.log",
    benchmark:
        "benchmarks/out/aerial/check-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("aerial_check"),
    params:
        meshes=lambda wildcards: city_meshes(AERIAL, wildcards.city).as_posix(),
        options=as_json(AERIAL.mesh),
        code=code("scripts.aerial.check"),
    shell:
        "python -m scripts.aerial.check"
        " {params.meshes:q}"
        " --out {output.report:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule aerial_sessions:
    """Records sessions of drone and rover in a city. Config: `aerial.{mesh, voxels, sessions}`.

    Snakemake removes the manifests beside the folders before it runs this again; sessions that are still what they
    should be stay in their folders, with their own manifests, and are not recorded anew.
    """
    input:
        meshes=f"{SESSIONS}meshes.json",
    output:
        manifests=session_manifests(AERIAL, "{city}"),
    log:
        "logs/aerial/sessions-{city}.log",
    benchmark:
        "benchmarks/out/aerial/sessions-{city}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("aerial_sessions"),
    params:
        meshes=lambda wildcards: city_meshes(AERIAL, wildcards.city).as_posix(),
        options=as_json(AERIAL, include={"mesh", "voxels", "sessions"}),
        folder=subpath(input.meshes, parent=True),
        code=code("scripts.aerial.sessions"),
    shell:
        "python -m scripts.aerial.sessions"
        " --input {params.meshes:q}"
        " --output {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


include: "aerial_world.smk"
