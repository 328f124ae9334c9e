rule tables:
    input:
        expand("results/{table}.csv", table=["curves", "summary", "claims"]),
    output:
        expand(
            "results/tables/{table}.{ending}",
            table=tables(),
            ending=["csv", "md", "tex"],
        ),
        [
            report(
                f"results/tables/{name}.html",
                caption="../report/table.rst",
                category="Tables",
                labels={"table": name},
            )
            for name in tables()
        ],
    log:
        "logs/tables.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        tables=tables(),
        shown=there_is("tuning", "sweeps", "cost"),
    shell:
        "python -m psasc_bench table {params.tables} > {log} 2>&1"
