# needs: what every run left under reports/, models/ and data/curated/
# makes: reports/index.html, one page for all


def told_of_runs():
    """What the page tells of; a file that changes redraws it."""
    names = (
        "reports/{}/metrics.json",
        "reports/{}/gate.json",
        "models/{}/gguf/certificate.json",
    )
    names += (
        "data/curated/{}/stats.json",
        "models/{}/training/training_metadata.json",
        "models/{}/training/loss.jsonl",
    )
    return [
        name.format(f"{run.system}/{run.name}")
        for run in CONFIG.runs()
        for name in names
    ]


rule report:
    input:
        told=told_of_runs(),
    output:
        page="reports/index.html",
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/out/report.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        disk_mb=20,
    params:
        runs=[f"reports/{run.system}/{run.name}" for run in CONFIG.runs()],
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.report"),
    shell:
        "{PYTHON:q} -m scripts.report --run {params.runs:q} --benchmarks benchmarks/out {params.labels:q}"
        " --out {output.page:q} --log {log:q}"
