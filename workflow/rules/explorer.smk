rule explorer:
    input:
        explored_tables,
        "results/study.json",
    output:
        report(
            "results/explorer.html",
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"metric": "all", "data sets": dataset_titles()},
        ),
    log:
        "logs/explorer.log",
    conda:
        "../envs/psasc-bench.yaml"
    shell:
        "python -m psasc_bench explorer > {log} 2>&1"
