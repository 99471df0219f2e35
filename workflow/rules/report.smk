# needs: what every run left under reports/, models/ and data/curated/
# makes: reports/index.html, one page for all


rule report:
    input:
        told=told_of_runs(),
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
        mem_mb=500,
        runtime=5,
        disk_mb=20,
    params:
        runs=[f"reports/{system}/{run}" for system, run in CONFIG.run_names()],
        labels=["--preset", CONFIG.preset, "--scope", CONFIG.scope],
        code=code("scripts.report"),
    shell:
        "python -m scripts.report --run {params.runs:q} --benchmarks benchmarks/out {params.labels:q}"
        " --out {output.page:q} --log {log:q}"
