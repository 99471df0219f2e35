# needs: scenario Markdown under config `dnd.scenarios`, a base's tokenizer
# makes: data/curated/dnd/registry.json and tools.md, and each run's train, val, test and stats


from scripts.dnd.inputs import Scenarios

SCENARIOS = checked(Scenarios, CONFIG.dnd)
EXTRA_TOOLS = [CONFIG.dnd.extra_tools] if CONFIG.dnd.extra_tools else []


rule dnd_tools:
    """Lists the tools that the scenarios call. Config: `dnd.{scenarios, extra_tools}`."""
    input:
        scenarios=SCENARIOS.files,
        extra=EXTRA_TOOLS,
    output:
        registry="data/curated/dnd/registry.json",
        page="data/curated/dnd/tools.md",
    log:
        "logs/dnd/tools.log",
    benchmark:
        "benchmarks/out/dnd/tools.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("dnd_tools"),
    params:
        sources=CONFIG.dnd.scenarios,
        extra=artifacts.flags({"--extra": EXTRA_TOOLS}),
        content=SCENARIOS.content,
        code=code("scripts.dnd.tools"),
    shell:
        "python -m scripts.dnd.tools scan"
        " {params.sources:q}"
        " {params.extra:q}"
        " --out {output.registry:q}"
        " --log {log:q}"
        " && python -m scripts.dnd.tools document"
        " {output.registry:q}"
        " --out {output.page:q}"


rule dnd_curate:
    """Makes records of scenarios and splits them.

    Config: `dnd.{scenarios, check, curate}`, `dnd.runs.<run>.{base, system_prompt}`.
    """
    input:
        scenarios=SCENARIOS.files,
        registry="data/curated/dnd/registry.json",
        base=of_run(artifacts.base_card, "dnd"),
    output:
        train="data/curated/dnd/{run}/train.jsonl",
        val="data/curated/dnd/{run}/val.jsonl",
        test="data/curated/dnd/{run}/test.jsonl",
        stats="data/curated/dnd/{run}/stats.json",
        quarantine="data/curated/dnd/{run}/quarantine.jsonl",
    log:
        "logs/dnd/{run}/curate.log",
    benchmark:
        "benchmarks/out/dnd/{run}/curate.tsv"
    priority: 5
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("dnd_curate"),
    params:
        sources=CONFIG.dnd.scenarios,
        system_prompt=of_run(lambda run: run.system_prompt, "dnd"),
        options=as_json(CONFIG.dnd.curate),
        check=as_json(CONFIG.dnd.check),
        folder=subpath(output.train, parent=True),
        tokenizer=subpath(input.base, parent=True),
        content=SCENARIOS.content,
        code=code("scripts.dnd.curate"),
    shell:
        "python -m scripts.dnd.curate"
        " {params.sources:q}"
        " --registry {input.registry:q}"
        " --base {params.tokenizer:q}"
        " --system-prompt={params.system_prompt:q}"
        " --out {params.folder:q}"
        " --check {params.check:q}"
        " --params {params.options:q}"
        " --log {log:q}"
