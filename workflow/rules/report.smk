# needs: what every run left under reports/, models/ and data/curated/
# makes: reports/index.html, one page for all


rule report:
    """Draws the page of all runs. Config: `preset`, `scope`."""
    input:
        [
            path
            for run in CONFIG.runs()
            for path in artifacts.report_files(SYSTEMS[run.system], CONFIG, run)
        ],
    output:
        page="reports/index.html",
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/out/report.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("report"),
    params:
        runs=[artifacts.reports(run) for run in CONFIG.runs()],
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code(
            "scripts.report",
            *(
                SYSTEMS[name].report.module
                for name in CONFIG.systems()
                if SYSTEMS[name].report
            ),
        ),
    shell:
        "python -m scripts.report"
        " --run {params.runs:q}"
        " --benchmarks benchmarks/out"
        " {params.labels:q}"
        " --out {output.page:q}"
        " --log {log:q}"
