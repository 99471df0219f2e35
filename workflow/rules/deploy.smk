# needs: the gate's verdict, the exported files, everything that the card shows
# makes: dist/<system>/<run>/ (SHA256SUMS stands for it) and reports/<system>/<run>/verify.json


rule deploy:
    """Makes the package that a user ships.

    Config: `deploy`, `merge_shards`, `preset`, `scope`, `<system>.runs.<run>.{base, system_prompt}`.
    """
    input:
        of_config(artifacts.deploy_inputs),
    output:
        sums="dist/{system}/{run}/SHA256SUMS",
    log:
        "logs/{system}/{run}/deploy.log",
    benchmark:
        "benchmarks/out/{system}/{run}/deploy.tsv"
    # Before the report, which shows the package but is not drawn again for it.
    priority: 10
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("deploy"),
    params:
        module=of_system(lambda system, run: system.deploy.module),
        files=of_config(artifacts.deploy_arguments),
        options=section("deploy"),
        code=of_system(lambda system, run: code(system.deploy.module)),
    shell:
        "python -m {params.module}"
        " {params.files:q}"
        " --out dist/{wildcards.system:q}/{wildcards.run:q}"
        " --params {params.options:q}"
        " --log {log:q}"


rule verify:
    """Checks a package: every byte as published, and the recorded answers repeated."""
    input:
        sums="dist/{system}/{run}/SHA256SUMS",
    output:
        result="reports/{system}/{run}/verify.json",
    log:
        "logs/{system}/{run}/verify.log",
    benchmark:
        "benchmarks/out/{system}/{run}/verify.tsv"
    conda:
        "../../envs/questline.yaml"
    threads: CORES
    resources:
        **resources("verify"),
    params:
        module=of_system(lambda system, run: system.verify),
        package=subpath(input.sums, parent=True),
        code=of_system(lambda system, run: code(system.verify)),
    shell:
        "python -m {params.module}"
        " {params.package:q}"
        " --out {output.result:q}"
        " --log {log:q}"
