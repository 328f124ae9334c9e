rule tables:
    input:
        expand("results/{table}.csv", table=["runs", "curves", "summary", "claims"]),
    output:
        expand(
            "results/tables/{table}.{ending}",
            table=planning.typesettable(RESULTS),
            ending=["csv", "md", "tex"],
        ),
        [
            report(
                f"results/tables/{name}.html",
                caption="../report/table.rst",
                category="Tables",
                labels={"table": name},
            )
            for name in planning.typesettable(RESULTS)
        ],
    log:
        "logs/tables.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        tables=planning.typesettable(RESULTS),
        shown=lambda wildcards: planning.there_is(RESULTS, "tuning", "sweeps", "cost"),
    shell:
        "python -m psasc_bench table {params.tables} > {log} 2>&1"
