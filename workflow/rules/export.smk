# needs: an adapter and its 16-bit base
# makes: models/<system>/<run>/merged (weights go after their last use), gguf/model-<type>.gguf, gguf/certificate.json


MERGED = "models/{system}/{run}/merged/"
GGUF = "models/{system}/{run}/gguf/"


rule merge:
    input:
        base=of_run(merge_base_card),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        config="models/{system}/{run}/adapter/adapter_config.json",
    output:
        weights=[
            passing(f"{MERGED}{name}") for name in shard_names(CONFIG.merge_shards)
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
        mem_mb=2000,
        runtime=60,
        disk_mb=4000,
    params:
        options=json.dumps({"shards": CONFIG.merge_shards}),
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        folder=subpath(output.account, parent=True),
        code=code("scripts.model.merge"),
    shell:
        "python -m scripts.model.merge --base {params.base:q} --adapter {params.adapter:q} --out {params.folder:q}"
        " --params {params.options:q} --log {log:q}"


rule convert:
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
        mem_mb=4000,
        runtime=60,
        disk_mb=4000,
    params:
        folder=subpath(input.config, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert --model {params.folder:q} --out {output.gguf:q}"
        " --log {log:q}"


# A model that sees has a second file, its projector: vision tower and what ties it to the text.
rule project:
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
        mem_mb=4000,
        runtime=60,
        disk_mb=2000,
    params:
        folder=subpath(input.config, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert --model {params.folder:q} --mmproj {output.mmproj:q}"
        " --log {log:q}"


rule quantize:
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
        mem_mb=4000,
        runtime=60,
        disk_mb=2000,
    params:
        options=lambda wildcards: json.dumps(
            {"llama_quantize": run_of(wildcards).export.llama_quantize}
        ),
        code=code("scripts.model.quantize"),
    shell:
        "python -m scripts.model.quantize --model {input.f16:q} --type {wildcards.quant:q} --out {output.gguf:q}"
        " --params {params.options:q} --log {log:q}"


rule certify:
    input:
        base=of_run(merge_base_card),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        weights=rules.merge.output.weights,
        account=f"{MERGED}merge.json",
        f16=f"{GGUF}model-f16.gguf",
        quants=of_run(quant_files),
        mmproj=mmproj_file,
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
        mem_mb=6000,
        runtime=60,
        disk_mb=100,
    params:
        options=section("certify"),
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        merged=subpath(input.account, parent=True),
        quants=quant_flags,
        mmproj=mmproj_flags,
        code=code("scripts.model.certify"),
    shell:
        "python -m scripts.model.certify --base {params.base:q} --adapter {params.adapter:q}"
        " --merged {params.merged:q} --f16 {input.f16:q} --quant {params.quants:q} --heldout {input.heldout:q}"
        " {params.mmproj:q} --texts {input.texts:q} --out {output.certificate:q} --params {params.options:q} --log {log:q}"
