# needs: scenario Markdown under config `dnd.scenarios`, a base's tokenizer
# makes: data/curated/dnd/registry.json and tools.md, and each run's train, val, test and stats


def scenario_digest():
    """The scenarios by name and content, so that an edit is noticed whatever its time stamp says."""
    return checked(source_digest, [Path(path) for path in CONFIG.dnd.scenarios], "*.md") if CONFIG.dnd else ""


def scenario_files():
    """Every scenario as a declared input."""
    found = []
    for path in map(Path, CONFIG.dnd.scenarios if CONFIG.dnd else []):
        found += sorted(path.rglob("*.md")) if path.is_dir() else [path]
    return [path.as_posix() for path in found if path.name != "README.md"]


rule dnd_tools:
    input:
        scenarios=scenario_files(),
        extra=CONFIG.dnd.extra_tools or [] if CONFIG.dnd else [],
    output:
        registry="data/curated/dnd/registry.json",
        page="data/curated/dnd/tools.md",
    params:
        sources=CONFIG.dnd.scenarios if CONFIG.dnd else [],
        extra=f"--extra {CONFIG.dnd.extra_tools}" if CONFIG.dnd and CONFIG.dnd.extra_tools else "",
        content=scenario_digest(),
        code=code("scripts.dnd.tools"),
    log:
        "logs/dnd/tools.log",
    benchmark:
        "benchmarks/out/dnd/tools.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
        disk_mb=100,
    shell:
        "{PYTHON:q} -m scripts.dnd.tools scan {params.sources:q} {params.extra} --out {output.registry:q} --log {log:q}"
        " && {PYTHON:q} -m scripts.dnd.tools document {output.registry:q} --out {output.page:q}"


rule dnd_curate:
    input:
        scenarios=scenario_files(),
        registry="data/curated/dnd/registry.json",
        base=lambda wildcards: f"models/base/{CONFIG.run('dnd', wildcards.run).base}/base.json",
    output:
        train="data/curated/dnd/{run}/train.jsonl",
        val="data/curated/dnd/{run}/val.jsonl",
        test="data/curated/dnd/{run}/test.jsonl",
        stats="data/curated/dnd/{run}/stats.json",
        quarantine="data/curated/dnd/{run}/quarantine.jsonl",
    params:
        sources=CONFIG.dnd.scenarios if CONFIG.dnd else [],
        system_prompt=lambda wildcards: CONFIG.run("dnd", wildcards.run).system_prompt,
        options=as_json(CONFIG.dnd.curate) if CONFIG.dnd else "{}",
        folder=subpath(output.train, parent=True),
        tokenizer=subpath(input.base, parent=True),
        content=scenario_digest(),
        code=code("scripts.dnd.curate"),
    log:
        "logs/dnd/{run}/curate.log",
    benchmark:
        "benchmarks/out/dnd/{run}/curate.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
        disk_mb=200,
    shell:
        "{PYTHON:q} -m scripts.dnd.curate {params.sources:q} --registry {input.registry:q} --base {params.tokenizer:q}"
        " --system-prompt {params.system_prompt:q} --out {params.folder:q} --params {params.options:q} --log {log:q}"
