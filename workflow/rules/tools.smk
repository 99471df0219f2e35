# needs: a tool schema, and tool-call examples under config `tools.examples` (or generated ones), a base
# makes: each specialist's train, val and test, coverage.md, stats.json, specialist_config.json; with `tools.adapters`
#        models/tools/<run>/gguf/adapter.gguf with its certificate, and dist/tools/shared: one base and all adapters


from scripts.tools.inputs import Examples, specialist_flags

TOOLS = CONFIG.tools
EXAMPLES = checked(Examples, TOOLS)
ADAPTER = "models/tools/{run}/adapter/"
SPECIALISTS = list(TOOLS.runs)


rule tools_generate:
    """Writes examples of tool calls. Config: `tools.{tool_schema, generate}`."""
    input:
        schema=TOOLS.tool_schema,
    output:
        manifest="data/generated/tools/manifest.json",
        statistics="data/generated/tools/statistics.json",
    log:
        "logs/tools/generate.log",
    benchmark:
        "benchmarks/out/tools/generate.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("tools_generate"),
    params:
        amount=["--count", TOOLS.generate.count, "--seed", TOOLS.generate.seed],
        folder=subpath(output.manifest, parent=True),
        content=EXAMPLES.schema_content,
        code=code("scripts.tools.generate"),
    shell:
        "python -m scripts.tools.generate"
        " --schema {input.schema:q}"
        " --out {params.folder:q}"
        " {params.amount:q}"
        " --log {log:q}"


rule tools_curate:
    """Makes records of examples and splits them. Config: `tools.{tool_schema, examples, check, curate, runs}`."""
    input:
        schema=TOOLS.tool_schema,
        examples=EXAMPLES.files,
    output:
        train="data/curated/tools/{run}/train.jsonl",
        val="data/curated/tools/{run}/val.jsonl",
        test="data/curated/tools/{run}/test.jsonl",
        openai=expand(
            "data/curated/tools/{{run}}/{side}.openai.jsonl",
            side=("train", "val", "test"),
        ),
        stats="data/curated/tools/{run}/stats.json",
        coverage="data/curated/tools/{run}/coverage.md",
        quarantine="data/curated/tools/{run}/quarantine.jsonl",
    log:
        "logs/tools/{run}/curate.log",
    benchmark:
        "benchmarks/out/tools/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("tools_curate"),
    params:
        sources=EXAMPLES.sources,
        run=of_run(lambda run: specialist_flags(TOOLS, run), "tools"),
        options=as_json(TOOLS.curate),
        check=as_json(TOOLS.check),
        folder=subpath(output.train, parent=True),
        content=EXAMPLES.content,
        code=code("scripts.tools.curate"),
    shell:
        "python -m scripts.tools.curate"
        " --schema {input.schema:q}"
        " --examples {params.sources:q}"
        " {params.run:q}"
        " --out {params.folder:q}"
        " --check {params.check:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule tools_specialist:
    """Writes what a server has to know of a specialist. Config: `tools.runs.<run>.description`."""
    input:
        base=of_run(artifacts.base_card, "tools"),
        training="models/tools/{run}/training/training_metadata.json",
        train="data/curated/tools/{run}/train.jsonl",
    output:
        config=f"{ADAPTER}specialist_config.json",
    log:
        "logs/tools/{run}/specialist.log",
    benchmark:
        "benchmarks/out/tools/{run}/specialist.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("tools_specialist"),
    params:
        description=lambda wildcards: TOOLS.runs[wildcards.run].description,
        code=code("scripts.tools.specialist"),
    shell:
        "python -m scripts.tools.specialist"
        " --run {wildcards.run:q}"
        " --description={params.description:q}"
        " --training {input.training:q}"
        " --train {input.train:q}"
        " --base-json {input.base:q}"
        " --out {output.config:q}"
        " --log {log:q}"


rule adapter_convert:
    """Writes an adapter as a GGUF of its own. Config: `bases.<base>.merge_onto`."""
    input:
        base=of_run(lambda run: artifacts.merge_base_card(CONFIG, run), "tools"),
        adapter=f"{ADAPTER}adapter_model.safetensors",
        config=f"{ADAPTER}adapter_config.json",
    output:
        gguf="models/tools/{run}/gguf/adapter.gguf",
    log:
        "logs/tools/{run}/adapter-convert.log",
    benchmark:
        "benchmarks/out/tools/{run}/adapter-convert.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("adapter_convert"),
    params:
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        code=code("scripts.model.adapter_gguf"),
    shell:
        "python -m scripts.model.adapter_gguf"
        " --base {params.base:q}"
        " --adapter {params.adapter:q}"
        " --out {output.gguf:q}"
        " --log {log:q}"


rule adapter_certify:
    """Compares base, adapter and adapter GGUF: nothing was lost. Config: `certify`."""
    input:
        base=of_run(lambda run: artifacts.merge_base_card(CONFIG, run), "tools"),
        adapter=f"{ADAPTER}adapter_model.safetensors",
        gguf="models/tools/{run}/gguf/adapter.gguf",
        f16=of_run(lambda run: artifacts.base_ggufs(CONFIG, run, ["f16"]), "tools"),
        quants=of_run(
            lambda run: artifacts.base_ggufs(CONFIG, run, run.variants), "tools"
        ),
        heldout="data/curated/tools/{run}/val.jsonl",
    output:
        certificate="models/tools/{run}/gguf/adapter-certificate.json",
    log:
        "logs/tools/{run}/adapter-certify.log",
    benchmark:
        "benchmarks/out/tools/{run}/adapter-certify.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("adapter_certify"),
    params:
        options=section("certify", "tools"),
        base=subpath(input.base, parent=True),
        adapter=subpath(input.adapter, parent=True),
        quants=of_run(lambda run: artifacts.base_flags(CONFIG, run), "tools"),
        code=code("scripts.model.certify_adapter"),
    shell:
        "python -m scripts.model.certify_adapter"
        " --base {params.base:q}"
        " --adapter {params.adapter:q}"
        " --gguf {input.gguf:q}"
        " --f16 {input.f16:q}"
        " --quant {params.quants:q}"
        " --heldout {input.heldout:q}"
        " --out {output.certificate:q}"
        " --params {params.options:q}"
        " --log {log:q}"


if TOOLS.adapters:

    SHARED_RUN = CONFIG.run("tools", SPECIALISTS[0])
    SHARED_TYPE = TOOLS.shared_quant(CONFIG)

    rule tools_share:
        """Packs one quantised base with the adapters of all specialists. Config: `tools.adapters`, `export.quants`."""
        input:
            base=artifacts.base_ggufs(CONFIG, SHARED_RUN, [SHARED_TYPE]),
            card=artifacts.merge_base_card(CONFIG, SHARED_RUN),
            specialists=expand(f"{ADAPTER}specialist_config.json", run=SPECIALISTS),
            adapters=expand("models/tools/{run}/gguf/adapter.gguf", run=SPECIALISTS),
            certificates=expand(
                "models/tools/{run}/gguf/adapter-certificate.json", run=SPECIALISTS
            ),
            gates=expand("reports/tools/{run}/gate.json", run=SPECIALISTS),
            merged=expand(
                "models/tools/{run}/gguf/model-{quant}.gguf",
                run=SPECIALISTS,
                quant=SHARED_TYPE,
            ),
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
            **resources("tools_share"),
        params:
            folder=subpath(output.sums, parent=True),
            code=code("scripts.tools.share"),
        shell:
            "python -m scripts.tools.share"
            " --base {input.base:q}"
            " --base-json {input.card:q}"
            " --specialist {input.specialists:q}"
            " --adapter {input.adapters:q}"
            " --certificate {input.certificates:q}"
            " --gate {input.gates:q}"
            " --merged {input.merged:q}"
            " --out {params.folder:q}"
            " --log {log:q}"
