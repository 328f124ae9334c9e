rule figure:
    input:
        figure_tables,
    output:
        expand("figures/{{figure}}.{format}", format=["svg", "pdf"]),
    log:
        "logs/figures/{figure}.log",
    wildcard_constraints:
        figure=alternatives(figures.FIGURES),
    conda:
        "../envs/psasc-bench.yaml"
    params:
        requested=requested_tables,
    shell:
        "python -m psasc_bench figure {wildcards.figure} > {log} 2>&1"
