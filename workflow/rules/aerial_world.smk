# needs: the sessions that aerial.smk records, or sessions of your own under config `aerial.recorded`
# makes: data/curated/aerial/<run>/ windows: train, val and test; models/aerial/<run>/model (safetensors),
#        onnx (float32, int8, certificate); reports/aerial/<run>/sheet.jpg, test windows as images


from scripts.aerial.inputs import recorded_content
from scripts.aerial.world.options import WORLD_WATCHED
from scripts.aerial.world.run_options import EXPORTS as ONNX

WINDOWS = "data/curated/aerial/{run}/"
WORLD = "models/aerial/{run}/"


rule aerial_curate:
    """Cuts sessions into windows and splits them by place. Config: `aerial.{data, recorded, cities, generate, sessions}`."""
    input:
        manifests=[
            file
            for city in AERIAL.city_names
            for file in session_manifests(AERIAL, city)
        ],
    output:
        train=f"{WINDOWS}train.jsonl",
        val=f"{WINDOWS}val.jsonl",
        test=f"{WINDOWS}test.jsonl",
        dataset=f"{WINDOWS}dataset.json",
        stats=f"{WINDOWS}stats.json",
        frames=f"{WINDOWS}frames.json",
        quarantine=f"{WINDOWS}quarantine.jsonl",
    log:
        "logs/aerial/{run}/curate.log",
    benchmark:
        "benchmarks/out/aerial/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("aerial_curate"),
    params:
        root=lambda wildcards: AERIAL.sessions_root,
        places=AERIAL.city_names,
        options=section("data", "aerial"),
        folder=subpath(output.train, parent=True),
        content=checked(recorded_content, AERIAL),
        code=code("scripts.aerial.world.curate"),
    shell:
        "python -m scripts.aerial.world.curate"
        " --input {params.root:q}"
        " --place {params.places:q}"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule aerial_train:
    """Trains a world model. Config: `aerial.{data, model, train, recorded}`, `scope`."""
    input:
        train=f"{WINDOWS}train.jsonl",
        val=f"{WINDOWS}val.jsonl",
        dataset=f"{WINDOWS}dataset.json",
        pretrained=of_run(lambda run: run.train.pretrained or [], "aerial"),
    output:
        weights=f"{WORLD}model/model.safetensors",
        config=f"{WORLD}model/config.json",
        metadata=f"{WORLD}training/training_metadata.json",
        curve=f"{WORLD}training/loss.jsonl",
    log:
        "logs/aerial/{run}/train.log",
    benchmark:
        "benchmarks/out/aerial/{run}/train.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("aerial_train"),
        gpu=of_run(lambda run: run.train.processes if REAL else 0, "aerial"),
        nodes=of_run(lambda run: run.train.machines, "aerial"),
    params:
        options=section("train", "aerial", exclude=set(WORLD_WATCHED)),
        # Where it runs and how it is watched: Snakemake never compares a parameter that is derived from the input.
        watch=lambda wildcards, input: section(
            "train", "aerial", include=set(WORLD_WATCHED)
        )(wildcards),
        model=section("model", "aerial"),
        root=lambda wildcards: AERIAL.sessions_root,
        code=code("scripts.aerial.world.train"),
    shell:
        "python -m scripts.aerial.world.train"
        " --input {params.root:q}"
        " --train {input.train:q}"
        " --val {input.val:q}"
        " --out models/aerial/{wildcards.run:q}"
        " --work models/.work/aerial/{wildcards.run:q}"
        " --processes {resources.gpu}"
        " --machines {resources.nodes}"
        " --model {params.model:q}"
        " --params {params.options:q}"
        " --watch {params.watch:q}"
        " --log {log:q}"


rule aerial_export:
    """Writes a world model as ONNX and certifies that both give the same output. Config: `aerial.{export, recorded}`."""
    input:
        weights=f"{WORLD}model/model.safetensors",
        config=f"{WORLD}model/config.json",
        test=f"{WINDOWS}test.jsonl",
        dataset=f"{WINDOWS}dataset.json",
    output:
        onnx=[f"{WORLD}onnx/model-{name}.onnx" for name in ONNX],
        certificate=f"{WORLD}onnx/certificate.json",
    log:
        "logs/aerial/{run}/export.log",
    benchmark:
        "benchmarks/out/aerial/{run}/export.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("aerial_export"),
    params:
        options=section("export", "aerial"),
        model=subpath(input.weights, parent=True),
        root=lambda wildcards: AERIAL.sessions_root,
        folder=subpath(output.certificate, parent=True),
        code=code("scripts.aerial.world.export"),
    shell:
        "python -m scripts.aerial.world.export"
        " --input {params.root:q}"
        " --test {input.test:q}"
        " --model {params.model:q}"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule aerial_sheet:
    """Draws test windows beside what the shipped file predicted. Config: `aerial.recorded`."""
    input:
        test=f"{WINDOWS}test.jsonl",
        dataset=f"{WINDOWS}dataset.json",
        onnx=rules.aerial_export.output.onnx,
        metrics="reports/aerial/{run}/metrics.json",
        gate="reports/aerial/{run}/gate.json",
    output:
        sheet="reports/aerial/{run}/sheet.jpg",
    log:
        "logs/aerial/{run}/sheet.log",
    benchmark:
        "benchmarks/out/aerial/{run}/sheet.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("aerial_sheet"),
    params:
        onnx=lambda wildcards, input: str(Path(input.onnx[0]).parent),
        root=lambda wildcards: AERIAL.sessions_root,
        code=code("scripts.aerial.world.sheet"),
    shell:
        "python -m scripts.aerial.world.sheet"
        " --input {params.root:q}"
        " --test {input.test:q}"
        " --onnx {params.onnx:q}"
        " --metrics {input.metrics:q}"
        " --gate {input.gate:q}"
        " --out {output.sheet:q}"
        " --log {log:q}"
