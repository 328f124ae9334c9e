# A run that diverges or fails has a record, too, so that it stops nothing and is seen in every table; removing the record
# tries it again. Records that are current are left alone, so that a new seed trains only itself, and a job that was
# started in vain does nothing: hence update(). What a record depends on stands in `params`, where Snakemake notices a
# change, but not of records that came with the clone: of these it does not know how they were made. Hence MADE_OF, which
# is younger than they are. A signal that a job's shell gets is meant for the run, which writes a checkpoint: hence exec.

for name in STUDY.datasets:

    rule:
        # Where starting a process costs as much as a run, all seeds of a cell share one.
        name:
            f"train_{name}"
        input:
            data=ancient(str(STUDY.prepared(name))),
            budget=ancient(planning.budget_file(STUDY, RESULTS, name)),
            current=ancient(
                lambda wildcards, dataset=name: made_of(
                    dataset, wildcards, stale=False
                )
            ),
            stale=lambda wildcards, dataset=name: made_of(
                dataset, wildcards, stale=True
            ),
        output:
            update(
                expand(
                    f"results/runs/{name}/{{{{method}}}}/eps-{{{{epsilon}}}}/{{seed}}.{{ending}}",
                    seed=planning.job_seeds(STUDY, name),
                    ending=["json", "csv"],
                )
            ),
        log:
            f"logs/train/{name}/{{method}}/eps-{{epsilon}}/{planning.job_label(STUDY, name)}.log",
        group:
            batch(
                f"train_{name}",
                name,
                runs=len(planning.job_seeds(STUDY, name)),
            )
        conda:
            "../envs/psasc-bench.yaml"
        threads: 1
        resources:
            turn=1,
            runtime=minutes(name, runs=len(planning.job_seeds(STUDY, name))),
        params:
            dataset=name,
            seeds=lambda wildcards, output: [
                Path(file).stem.removeprefix("seed-") for file in output[::2]
            ],
            study=lambda wildcards, dataset=name: planning.cell_study(
                STUDY, dataset, wildcards.method, float(wildcards.epsilon)
            ),
            code=lambda wildcards, dataset=name: trained_by(dataset, wildcards.method),
        shell:
            "exec python -m psasc_bench train --config /dev/stdin --dataset {params.dataset} --method {wildcards.method} "
            "--epsilon {wildcards.epsilon} --seeds {params.seeds} --data {input.data:q} --budget {input.budget:q} "
            "--threads {threads} > {log} 2>&1 <<< {params.study:q}"
