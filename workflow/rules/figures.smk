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
        figure=alternatives(figures.FIGURES),
    conda:
        "../envs/psasc-bench.yaml"
    params:
        caption=lambda wildcards: figures.FIGURES[wildcards.figure].caption,
        requested=requested_tables,
    shell:
        "python -m psasc_bench figure {wildcards.figure} > {log} 2>&1"
