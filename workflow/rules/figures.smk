rule figure:
    input:
        figure_tables,
    output:
        report(
            "figures/{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"metric": "{figure}", "data sets": dataset_titles()},
        ),
        "figures/{figure}.pdf",
    log:
        "logs/figures/{figure}.log",
    wildcard_constraints:
        figure=alternatives(FIGURES),
    conda:
        "../envs/psasc-bench.yaml"
    shell:
        "python -m psasc_bench figure {wildcards.figure} > {log} 2>&1"
