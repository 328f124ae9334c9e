rule explorer:
    input:
        expand(
            "results/{table}.csv",
            table=[
                *["runs", "curves", "summary", "weights"],
                *["comparisons", "answer", "audit", "claims"],
            ],
        ),
        "results/study.json",
    output:
        report(
            "results/explorer.html",
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"page": "all"},
        ),
    log:
        "logs/explorer.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        shown=lambda wildcards: planning.there_is(
            RESULTS, "cost", "deviation", "sweeps"
        ),
    shell:
        "python -m psasc_bench explorer > {log} 2>&1"
