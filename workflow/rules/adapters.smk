# needs: config `tools.adapters: true`; the base, each specialist's adapter
# makes: models/base/<name>/gguf (the base quantised), models/<system>/<run>/gguf/adapter.gguf with its certificate,
#        dist/tools/shared: one base and all adapters


BASE_GGUF = "models/base/{base}/gguf/"


rule base_convert:
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
        mem_mb=4000,
        runtime=60,
        disk_mb=4000,
    params:
        folder=subpath(input.base, parent=True),
        code=code("scripts.model.convert"),
    shell:
        "python -m scripts.model.convert --model {params.folder:q} --out {output.gguf:q} --log {log:q}"


rule base_quantize:
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
        mem_mb=4000,
        runtime=60,
        disk_mb=2000,
    params:
        options=json.dumps({"llama_quantize": CONFIG.export.llama_quantize}),
        code=code("scripts.model.quantize"),
    shell:
        "python -m scripts.model.quantize --model {input.f16:q} --type {wildcards.quant:q} --out {output.gguf:q}"
        " --params {params.options:q} --log {log:q}"


rule adapter_convert:
    input:
        base=of_run(merge_base_card),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        config="models/{system}/{run}/adapter/adapter_config.json",
    output:
        gguf="models/{system}/{run}/gguf/adapter.gguf",
    log:
        "logs/{system}/{run}/adapter-convert.log",
    benchmark:
        "benchmarks/out/{system}/{run}/adapter-convert.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        disk_mb=1000,
    params:
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        code=code("scripts.model.adapter_gguf"),
    shell:
        "python -m scripts.model.adapter_gguf --base {params.base:q} --adapter {params.adapter:q}"
        " --out {output.gguf:q} --log {log:q}"


rule adapter_certify:
    input:
        base=of_run(merge_base_card),
        adapter="models/{system}/{run}/adapter/adapter_model.safetensors",
        gguf="models/{system}/{run}/gguf/adapter.gguf",
        f16=of_run(base_f16),
        quants=of_run(base_quants),
        heldout="data/curated/{system}/{run}/val.jsonl",
    output:
        certificate="models/{system}/{run}/gguf/adapter-certificate.json",
    log:
        "logs/{system}/{run}/adapter-certify.log",
    benchmark:
        "benchmarks/out/{system}/{run}/adapter-certify.tsv"
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
        quants=quant_flags,
        code=code("scripts.model.certify_adapter"),
    shell:
        "python -m scripts.model.certify_adapter --base {params.base:q} --adapter {params.adapter:q}"
        " --gguf {input.gguf:q} --f16 {input.f16:q} --quant {params.quants:q} --heldout {input.heldout:q}"
        " --out {output.certificate:q} --params {params.options:q} --log {log:q}"


rule tools_share:
    input:
        base=shared_quant(),
        card=shared_card(),
        specialists=of_specialists("models/tools/{}/adapter/specialist_config.json"),
        adapters=of_specialists("models/tools/{}/gguf/adapter.gguf"),
        certificates=of_specialists("models/tools/{}/gguf/adapter-certificate.json"),
        gates=of_specialists("reports/tools/{}/gate.json"),
        merged=of_specialists(f"models/tools/{{}}/gguf/model-{shared_type()}.gguf"),
    output:
        sums="dist/tools/shared/SHA256SUMS",
    log:
        "logs/tools/share.log",
    benchmark:
        "benchmarks/out/tools/share.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
        disk_mb=4000,
    params:
        folder=subpath(output.sums, parent=True),
        code=code("scripts.tools.share"),
    shell:
        "python -m scripts.tools.share --base {input.base:q} --base-json {input.card:q}"
        " --specialist {input.specialists:q} --adapter {input.adapters:q} --certificate {input.certificates:q}"
        " --gate {input.gates:q} --merged {input.merged:q} --out {params.folder:q} --log {log:q}"
