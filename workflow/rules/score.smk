# needs: what a system's scorer reads (predictions, or a world model), the certificate, the exported files
# makes: reports/<system>/<run>/metrics.json and failures.jsonl by the system's own scorer, gate.json


rule score:
    """Scores all variants and baselines of a run. Config: `score`, `gate.metric`, `scope`; aerial has `score` of its own."""
    input:
        of_config(artifacts.score_inputs),
    output:
        metrics="reports/{system}/{run}/metrics.json",
        failures="reports/{system}/{run}/failures.jsonl",
    log:
        "logs/{system}/{run}/score.log",
    benchmark:
        "benchmarks/out/{system}/{run}/score.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("score"),
        gpu=lambda wildcards: int(
            REAL and not SYSTEMS[wildcards.system].family.is_language
        ),
    params:
        module=of_system(lambda system, run: system.score.module),
        files=of_config(artifacts.score_arguments),
        options=section("score"),
        metric=lambda wildcards: run_of(wildcards).gate.metric,
        declared=of_system(lambda system, run: json.dumps(system.scored())),
        scope=CONFIG.scope,
        code=of_system(lambda system, run: code(system.score.module)),
    shell:
        "python -m {params.module}"
        " {params.files:q}"
        " --gate-metric {params.metric:q}"
        " --run {wildcards.run:q}"
        " --scope {params.scope:q}"
        " --out {output.metrics:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule gate:
    """Chooses the file that is shipped and holds it against the quality limits. Config: `gate`."""
    input:
        metrics="reports/{system}/{run}/metrics.json",
        certificate=of_system(artifacts.certificate),
        exported=of_system(artifacts.exported_files),
        evidence=of_config(
            lambda system, config, run: system.gate_files(config, run.name)
        ),
    output:
        gate="reports/{system}/{run}/gate.json",
    log:
        "logs/{system}/{run}/gate.log",
    benchmark:
        "benchmarks/out/{system}/{run}/gate.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: 1
    resources:
        **resources("gate"),
    params:
        options=section("gate"),
        exported=of_system(artifacts.exported_flags),
        code=code("scripts.packaging.gate"),
    shell:
        "python -m scripts.packaging.gate"
        " --metrics {input.metrics:q}"
        " --certificate {input.certificate:q}"
        " --quant {params.exported:q}"
        " --evidence {input.evidence:q}"
        " --out {output.gate:q}"
        " --params {params.options:q}"
        " --log {log:q}"
