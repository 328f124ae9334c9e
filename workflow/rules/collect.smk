rule collect:
    input:
        study="results/study.json",
        runs=runs(),
    output:
        expand("results/{table}.csv", table=["runs", "curves", "summary", "weights"]),
        "results/README.md",
    log:
        "logs/collect.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        sources=[methods.fingerprint(methods.load(name)) for name in STUDY.methods],
    shell:
        "python -m psasc_bench collect --config {input.study} > {log} 2>&1"
