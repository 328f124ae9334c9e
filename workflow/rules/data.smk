# The outputs of these rules have names that hold all they are made from, so that they are never out of date; the runs
# take them as ancient(), so that making a lost one again retrains nothing. It must be so: when a rule is due for changed
# parameters, Snakemake looks past jobs that hang on it by ancient() alone, and would not see that those have changed, too.

for prepared, name in planning.prepared_files(STUDY).items():

    rule:
        name:
            f"prepare_{name}"
        output:
            prepared,
        log:
            f"logs/prepare/{name}.log",
        localrule: STUDY.dataset(name).features == "pixels"  # features take minutes
        conda:
            "../envs/psasc-bench.yaml"
        params:
            source=lambda wildcards, name=name: planning.write_source_arguments(
                STUDY, RESULTS, name, data_root=DATA_ROOT
            ),
        shell:
            "python -m psasc_bench prepare @{params.source} --output {output:q} "
            "> {log} 2>&1"


for (name, epochs, evaluation), labels in planning.schedules(STUDY, ALL_TRIALS).items():

    rule:
        # One process for all budgets of a schedule: loading the accountants takes longer than using them.
        name:
            f"budgets_{name}_{epochs}_{evaluation}"
        input:
            data=ancient(str(STUDY.prepared(name))),
        output:
            expand(
                planning.budget_file(
                    STUDY, RESULTS, name, epochs=epochs, evaluation=evaluation
                ),
                epsilon=labels,
            ),
        log:
            f"logs/budgets/{name}/{epochs}_{evaluation}.log",
        localrule: True
        conda:
            "../envs/psasc-bench.yaml"
        params:
            dataset=name,
            schedule=planning.schedule_arguments(
                STUDY, name, epochs=epochs, evaluation=evaluation
            ),
        shell:
            "python -m psasc_bench budgets --dataset {params.dataset} --data {input.data:q} {params.schedule} {output} "
            "> {log} 2>&1"
