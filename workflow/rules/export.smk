# needs: an adapter and its 16-bit base
# makes: models/<system>/<run>/merged (weights go after their last use), gguf/model-<type>.gguf, gguf/certificate.json,
#        gguf/mmproj.gguf of a vision-language model


MERGED = "models/{system}/{run}/merged/"
GGUF = "models/{system}/{run}/gguf/"


rule merge:
    """Adds an adapter to its 16-bit base. Config: `merge_shards`, `keep_intermediates`, `bases.<base>.merge_onto`."""
    input:
        base=of_run(lambda run: artifacts.merge_base_card(CONFIG, run)),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        config="models/{system}/{run}/adapter/adapter_config.json",
    output:
        weights=[
            passing(f"{MERGED}{name}")
            for name in artifacts.shard_names(CONFIG.merge_shards)
        ],
        account=f"{MERGED}merge.json",
        config=f"{MERGED}config.json",
        tokenizer=f"{MERGED}tokenizer.json",
        tokenizer_config=f"{MERGED}tokenizer_config.json",
    log:
        "logs/{system}/{run}/merge.log",
    benchmark:
        "benchmarks/out/{system}/{run}/merge.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("merge"),
    params:
        options=json.dumps({"shards": CONFIG.merge_shards}),
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        folder=subpath(output.account, parent=True),
        code=code("scripts.model.merge"),
    shell:
        "python -m scripts.model.merge"
        " --base {params.base:q}"
        " --adapter {params.adapter:q}"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule convert:
    """Rewrites merged weights for llama.cpp. Config: `keep_intermediates`."""
    input:
        weights=rules.merge.output.weights,
        config=f"{MERGED}config.json",
        tokenizer=f"{MERGED}tokenizer.json",
    output:
        gguf=passing(f"{GGUF}model-f16.gguf"),
    log:
        "logs/{system}/{run}/convert.log",
    benchmark:
        "benchmarks/out/{system}/{run}/convert.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("convert"),
    params:
        folder=subpath(input.config, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert"
        " --model {params.folder:q}"
        " --out {output.gguf:q}"
        " --log {log:q}"


rule project:
    """Writes the projector of a vision-language model: image encoder and what ties it to the text."""
    input:
        weights=rules.merge.output.weights,
        config=f"{MERGED}config.json",
        tokenizer=f"{MERGED}tokenizer.json",
    output:
        mmproj=f"{GGUF}mmproj.gguf",
    log:
        "logs/{system}/{run}/project.log",
    benchmark:
        "benchmarks/out/{system}/{run}/project.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("project"),
    params:
        folder=subpath(input.config, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert"
        " --model {params.folder:q}"
        " --mmproj {output.mmproj:q}"
        " --log {log:q}"


rule quantize:
    """Stores the weights with fewer bits. Config: `export.{quants, llama_quantize}`."""
    input:
        f16=f"{GGUF}model-f16.gguf",
    output:
        gguf=f"{GGUF}model-{{quant,(?!f16)[A-Z0-9_]+}}.gguf",
    log:
        "logs/{system}/{run}/quantize-{quant}.log",
    benchmark:
        "benchmarks/out/{system}/{run}/quantize-{quant}.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("quantize"),
    params:
        options=section("export", include={"llama_quantize"}),
        code=code("scripts.model.quantize"),
    shell:
        "python -m scripts.model.quantize"
        " --model {input.f16:q}"
        " --type {wildcards.quant:q}"
        " --out {output.gguf:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule certify:
    """Compares adapter, merged weights, GGUF and quantised files: nothing was lost.

    Config: `certify`, `export.quants`, `merge_shards`, `bases.<base>.merge_onto`.
    """
    input:
        base=of_run(lambda run: artifacts.merge_base_card(CONFIG, run)),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        weights=rules.merge.output.weights,
        account=f"{MERGED}merge.json",
        f16=f"{GGUF}model-f16.gguf",
        quants=of_system(artifacts.exported_files),
        mmproj=of_system(artifacts.projector),
        heldout="data/curated/{system}/{run}/val.jsonl",
        texts="data/curated/{system}/{run}/train.jsonl",
    output:
        certificate=f"{GGUF}certificate.json",
    log:
        "logs/{system}/{run}/certify.log",
    benchmark:
        "benchmarks/out/{system}/{run}/certify.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("certify"),
    params:
        options=section("certify"),
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        merged=subpath(input.account, parent=True),
        quants=of_system(artifacts.exported_flags),
        mmproj=of_system(
            lambda system, run: artifacts.flags(
                {"--mmproj": artifacts.projector(system, run)}
            )
        ),
        code=code("scripts.model.certify"),
    shell:
        "python -m scripts.model.certify"
        " --base {params.base:q}"
        " --adapter {params.adapter:q}"
        " --merged {params.merged:q}"
        " --f16 {input.f16:q}"
        " --quant {params.quants:q}"
        " --heldout {input.heldout:q}"
        " {params.mmproj:q}"
        " --texts {input.texts:q}"
        " --out {output.certificate:q}"
        " --params {params.options:q}"
        " --log {log:q}"
