rule table:
    input:
        table_sources,
    output:
        expand("results/tables/{{table}}.{format}", format=["csv", "md", "tex"]),
        report(
            "results/tables/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"metric": "{table}", "data sets": dataset_titles()},
        ),
    log:
        "logs/tables/{table}.log",
    wildcard_constraints:
        table=alternatives(TABLES),
    conda:
        "../envs/psasc-bench.yaml"
    shell:
        "python -m psasc_bench table {wildcards.table} > {log} 2>&1"
