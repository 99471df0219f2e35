# needs: recordings under config `gameplay.recordings` (or those of a scripted player)
# makes: data/ingested/gameplay/<recording>, labels, train, val and test with images, counts in the game


from scripts.gameplay.inputs import Recordings
from scripts.gameplay.options import GameOptions
from scripts.gameplay.system import EPISODES

GAMEPLAY = CONFIG.gameplay
RECORDINGS = checked(Recordings, GAMEPLAY)
SEGMENTS = "data/ingested/gameplay/{recording}/"
FRAMES = "data/curated/gameplay/{run}/"


rule gameplay_generate:
    """Has a scripted player record itself in the game. Config: `gameplay.generate`."""
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
        **resources("gameplay_generate"),
    params:
        options=as_json(GAMEPLAY.generate),
        folder=subpath(output.files, parent=True),
        code=code("scripts.gameplay.generate"),
    shell:
        "python -m scripts.gameplay.generate"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule gameplay_ingest:
    """Reads a recording and cuts it into segments. Config: `gameplay.{recordings, check, ingest}`."""
    input:
        files=lambda wildcards: RECORDINGS.files(wildcards.recording),
    output:
        segments=f"{SEGMENTS}segments.jsonl",
        quarantine=f"{SEGMENTS}quarantine.jsonl",
        manifest=f"{SEGMENTS}manifest.json",
    log:
        "logs/gameplay/ingest-{recording}.log",
    benchmark:
        "benchmarks/out/gameplay/ingest-{recording}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("gameplay_ingest"),
    params:
        recording=lambda wildcards: RECORDINGS.paths[wildcards.recording].as_posix(),
        content=lambda wildcards: RECORDINGS.content(wildcards.recording),
        options=as_json(GAMEPLAY.ingest),
        check=as_json(GAMEPLAY.check),
        folder=subpath(output.segments, parent=True),
        code=code("scripts.gameplay.ingest"),
    shell:
        "python -m scripts.gameplay.ingest"
        " --recording {params.recording:q}"
        " --out {params.folder:q}"
        " --check {params.check:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule gameplay_label:
    """Names the goal of each segment. Config: `gameplay.label`."""
    input:
        manifest=f"{SEGMENTS}manifest.json",
        segments=f"{SEGMENTS}segments.jsonl",
        asked=RECORDINGS.label_files(),
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
        **resources("gameplay_label"),
    params:
        folder=subpath(input.manifest, parent=True),
        # A function: what looks like a wildcard in a plain text would be taken for one.
        options=lambda wildcards: as_json(GAMEPLAY.label),
        code=code("scripts.gameplay.label"),
    shell:
        "python -m scripts.gameplay.label"
        " --ingested {params.folder:q}"
        " --out {output.labels:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule gameplay_curate:
    """Makes records of labelled frames and splits them by recording.

    Config: `gameplay.curate`, `gameplay.check.health`, `gameplay.runs.<run>.system_prompt`.
    """
    input:
        manifests=expand(f"{SEGMENTS}manifest.json", recording=RECORDINGS.paths),
        segments=expand(f"{SEGMENTS}segments.jsonl", recording=RECORDINGS.paths),
        labels=expand(
            "data/labelled/gameplay/{recording}.jsonl", recording=RECORDINGS.paths
        ),
    output:
        train=f"{FRAMES}train.jsonl",
        val=f"{FRAMES}val.jsonl",
        test=f"{FRAMES}test.jsonl",
        stats=f"{FRAMES}stats.json",
        pictures=f"{FRAMES}pictures.json",
        quarantine=f"{FRAMES}quarantine.jsonl",
    log:
        "logs/gameplay/{run}/curate.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("gameplay_curate"),
    params:
        folders=lambda wildcards, input: [
            str(Path(name).parent) for name in input.manifests
        ],
        system_prompt=of_run(lambda run: run.system_prompt, "gameplay"),
        options=as_json(GAMEPLAY.curate),
        health=as_json(GAMEPLAY.check.health),
        folder=subpath(output.train, parent=True),
        code=code("scripts.gameplay.curate"),
    shell:
        "python -m scripts.gameplay.curate"
        " --ingested {params.folders:q}"
        " --labels {input.labels:q}"
        " --output {params.folder:q}"
        " --system-prompt={params.system_prompt:q}"
        " --health {params.health:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule gameplay_loop:
    """Counts how often the agent reaches its goal in the game.

    Config: `gameplay.{loop, generate}`, `gameplay.ingest.frame_size`, `gate.{metric, tolerance}`.
    """
    input:
        metrics="reports/gameplay/{run}/metrics.json",
        quants=of_system(artifacts.exported_files, "gameplay"),
        mmproj="models/gameplay/{run}/gguf/mmproj.gguf",
        train=f"{FRAMES}train.jsonl",
    output:
        counts="reports/gameplay/{run}/loop.json",
        speed="reports/gameplay/{run}/loop.speed.json",
        sheets=expand("reports/gameplay/{{run}}/episode{number}.jpg", number=EPISODES),
    log:
        "logs/gameplay/{run}/loop.log",
    benchmark:
        "benchmarks/out/gameplay/{run}/loop.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("gameplay_loop"),
    params:
        system_prompt=of_run(lambda run: run.system_prompt, "gameplay"),
        gate=section("gate", "gameplay", include={"metric", "tolerance"}),
        size=GAMEPLAY.ingest.frame_size,
        game=as_json(GAMEPLAY.generate, include=set(GameOptions.model_fields)),
        options=as_json(GAMEPLAY.loop) if GAMEPLAY.plays else "{}",
        scope=CONFIG.scope,
        code=code("scripts.gameplay.loop"),
    shell:
        "python -m scripts.gameplay.loop"
        " --gguf {input.quants:q}"
        " --metrics {input.metrics:q}"
        " --gate {params.gate:q}"
        " --mmproj {input.mmproj:q}"
        " --train {input.train:q}"
        " --size {params.size:q}"
        " --system-prompt={params.system_prompt:q}"
        " --game {params.game:q}"
        " --scope {params.scope:q}"
        " --out {output.counts:q}"
        " --params {params.options:q}"
        " --log {log:q}"
