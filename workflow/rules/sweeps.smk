# No part of the study itself: `snakemake tune` trains the sweeps that are evaluated on validation examples, and chooses;
# `snakemake sweeps` trains them all. For update() and ancient(), see train.smk and data.smk.

for sweep, dataset, method in TRIALS:

    rule:
        # Where starting a process costs as much as a run, all trials of a method share one.
        name:
            f"sweep_{sweep}_{dataset}_{method}".replace("-", "_")
        input:
            data=ancient(str(STUDY.prepared(dataset))),
            budgets=ancient(sweep_budgets(sweep, dataset, method)),
        output:
            update(
                expand(
                    "{run}.{ending}",
                    run=job_trials(sweep, dataset, method),
                    ending=["json", "csv"],
                )
            ),
        log:
            f"logs/sweeps/{sweep}/{dataset}/{method}/{job_trials_label(dataset)}.log",
        conda:
            "../envs/psasc-bench.yaml"
        threads: 1
        params:
            sweep=sweep,
            dataset=dataset,
            study=lambda wildcards, of=(sweep, dataset, method): sweep_study(
                *of, wildcards
            ),
            code=trained_by(dataset, method),
        shell:
            "python -m psasc_bench train-sweep --config /dev/stdin --sweep {params.sweep} --dataset {params.dataset} "
            "--data {input.data:q} --budgets {input.budgets:q} --threads {threads} > {log} 2>&1 <<< {params.study:q} "
            "&& (grep '^psasc-bench: warning' {log} >&2 || true)"


rule tune:
    input:
        sweep_runs("validation"),
        made_of=str(MADE_OF),  # younger than tables that came with the clone
    output:
        "results/tuned.yaml",
        "results/tuning.csv",
    log:
        "logs/tune.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        study=STUDY.model_dump_json(),
    shell:
        "python -m psasc_bench tune --config /dev/stdin > {log} 2>&1 <<< {params.study:q} && cat {log} >&2"


rule sweeps:
    input:
        sweep_runs("validation"),
        sweep_runs("test"),
        made_of=str(MADE_OF),
    output:
        "results/sweeps.csv",
        "results/sweep_curves.csv",
    log:
        "logs/sweeps.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        shown=of_others("results/sweeps"),
        study=STUDY.model_dump_json(),
    shell:
        "python -m psasc_bench collect-sweeps --config /dev/stdin > {log} 2>&1 <<< {params.study:q} && cat {log} >&2"
