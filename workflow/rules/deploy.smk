# needs: the gate's verdict, the quantised files, everything the card tells of
# makes: dist/<system>/<run>/ (SHA256SUMS stands for it) and reports/<system>/<run>/verify.json


rule verify:
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
        mem_mb=2000,
        runtime=20,
        disk_mb=10,
    params:
        package=subpath(input.sums, parent=True),
        code=code("scripts.model.verify"),
    shell:
        "python -m scripts.model.verify {params.package:q} --out {output.result:q} --log {log:q}"
