# No part of the study itself: `snakemake tune` trains the sweeps that settings are chosen from, and chooses; `snakemake
# sweeps` trains them all. For update(), exec and ancient(), see train.smk and data.smk.

for (sweep, dataset, method), trials in TRIALS.items():

    rule:
        # Where starting a process costs as much as a run, all trials of a method share one.
        name:
            f"sweep_{sweep}_{dataset}_{method}".replace("-", "_")
        input:
            data=ancient(str(STUDY.prepared(dataset))),
            budgets=ancient(planning.sweep_budgets(STUDY, RESULTS, trials)),
        output:
            update(
                expand(
                    "{run}.{ending}",
                    run=planning.job_trials(
                        STUDY, RESULTS, sweep, dataset, method, trials=trials
                    ),
                    ending=["json", "csv"],
                )
            ),
        log:
            f"logs/sweeps/{sweep}/{dataset}/{method}/{planning.job_trials_label(STUDY, dataset)}.log",
        group:
            batch(
                f"sweep_{sweep}_{dataset}_{method}".replace("-", "_"),
                dataset,
                runs=planning.job_trial_runs(STUDY, dataset, trials),
            )
        conda:
            "../envs/psasc-bench.yaml"
        threads: 1
        resources:
            turn=1,
            runtime=minutes(
                dataset, runs=planning.job_trial_runs(STUDY, dataset, trials)
            ),
        params:
            sweep=sweep,
            dataset=dataset,
            study=lambda wildcards, of=(sweep, dataset, method): planning.sweep_study(
                STUDY, *of, **dict(wildcards.items())
            ),
            code=planning.trained_by(STUDY, dataset, method),
        shell:
            "exec python -m psasc_bench train-sweep --config /dev/stdin --sweep {params.sweep} --dataset {params.dataset} "
            "--data {input.data:q} --budgets {input.budgets:q} --threads {threads} > {log} 2>&1 <<< {params.study:q}"


rule tune:
    input:
        planning.sweep_records(STUDY, RESULTS, ALL_TRIALS, chosen_from=True),
        made_of=str(MADE_OF),  # younger than tables that came with the clone
    output:
        "results/tuned.yaml",
        "results/tuning.csv",
    log:
        "logs/tune.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        study=STUDY.model_dump_json(),
    shell:
        "python -m psasc_bench tune --config /dev/stdin > {log} 2>&1 <<< {params.study:q}"


rule sweeps:
    input:
        planning.sweep_records(STUDY, RESULTS, ALL_TRIALS),
        made_of=str(MADE_OF),
    output:
        "results/sweeps.csv",
        "results/sweep_curves.csv",
    log:
        "logs/sweeps.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        shown=lambda wildcards: planning.of_others(STUDY, RESULTS / "sweeps"),
        study=STUDY.model_dump_json(),
    shell:
        "python -m psasc_bench collect-sweeps --config /dev/stdin > {log} 2>&1 <<< {params.study:q}"
