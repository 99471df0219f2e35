# needs: config `bases`
# makes: models/base/<name>/ (weights, tokenizer, config) and base.json, which names every file with its hash;
#        models/base/<name>/gguf where an adapter is shipped beside its base


BASE_GGUF = "models/base/{base}/gguf/"


rule base:
    """Fetches or makes a base model and records its hashes. Config: `bases`."""
    output:
        card="models/base/{base}/base.json",
    log:
        "logs/base/{base}.log",
    benchmark:
        "benchmarks/out/base/{base}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 2
    resources:
        **resources("base"),
    params:
        folder=subpath(output.card, parent=True),
        options=lambda wildcards: as_json(CONFIG.bases[wildcards.base]),
        code=lambda wildcards: [
            code(module)
            for module in checked(artifacts.base_modules, CONFIG, wildcards.base)
        ],
    shell:
        "python -m scripts.model.base"
        " --name {wildcards.base:q}"
        " --out {params.folder:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule base_convert:
    """Rewrites a base for llama.cpp. Config: `keep_intermediates`."""
    input:
        base="models/base/{base}/base.json",
    output:
        gguf=passing(f"{BASE_GGUF}model-f16.gguf"),
    log:
        "logs/base/{base}/convert.log",
    benchmark:
        "benchmarks/out/base/{base}/convert.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("base_convert"),
    params:
        folder=subpath(input.base, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert"
        " --model {params.folder:q}"
        " --out {output.gguf:q}"
        " --log {log:q}"


rule base_quantize:
    """Stores a base's weights with fewer bits. Config: `export.llama_quantize`."""
    input:
        f16=f"{BASE_GGUF}model-f16.gguf",
    output:
        gguf=f"{BASE_GGUF}model-{{quant,(?!f16)[A-Z0-9_]+}}.gguf",
    log:
        "logs/base/{base}/quantize-{quant}.log",
    benchmark:
        "benchmarks/out/base/{base}/quantize-{quant}.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("base_quantize"),
    params:
        options=as_json(CONFIG.export, include={"llama_quantize"}),
        code=code("scripts.model.quantize"),
    shell:
        "python -m scripts.model.quantize"
        " --model {input.f16:q}"
        " --type {wildcards.quant:q}"
        " --out {output.gguf:q}"
        " --params {params.options:q}"
        " --log {log:q}"
