rule figure:
    input:
        figure_tables,
    output:
        report(
            "figures/{figure}.svg",
            caption="../report/figure.rst",
            category="All data sets",
            labels={"figure": "{figure}"},
        ),
        "figures/{figure}.pdf",
    log:
        "logs/figures/{figure}.log",
    wildcard_constraints:
        figure=planning.alternatives(FIGURES),
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        caption=lambda wildcards: figure_caption(wildcards.figure, STUDY),
        requested=requested_tables,
    shell:
        "python -m psasc_bench figure {wildcards.figure} > {log} 2>&1"


rule figure_of_data_set:
    # For the report, which lets one choose among them: `make report`.
    input:
        figure_tables,
    output:
        report(
            "results/figures/{dataset}/{figure}.svg",
            caption="../report/figure.rst",
            category="By data set",
            labels={"figure": "{figure}", "data set": "{dataset}"},
        ),
        "results/figures/{dataset}/{figure}.pdf",
    log:
        "logs/figures/{dataset}/{figure}.log",
    wildcard_constraints:
        dataset=planning.alternatives(STUDY.datasets),
        figure=planning.alternatives(FIGURES),
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        caption=lambda wildcards: figure_caption(wildcards.figure, STUDY),
        requested=requested_tables,
    shell:
        "python -m psasc_bench figure {wildcards.figure} --dataset {wildcards.dataset} "
        "--output results/figures/{wildcards.dataset} > {log} 2>&1"
