# Not private, and no part of the default study: `snakemake results/deviation.csv` asks for it.

for name in STUDY.datasets:

    rule:
        name:
            f"deviation_{name}"
        input:
            data=ancient(str(STUDY.prepared(name))),
            budget=ancient(planning.budget_file(STUDY, RESULTS, name)),
        output:
            f"results/deviation/{name}/eps-{{epsilon}}/seed-{{seed}}.csv",
        log:
            f"logs/deviation/{name}/eps-{{epsilon}}/seed-{{seed}}.log",
        group:
            batch(f"deviation_{name}", name, runs=1)
        conda:
            "../envs/psasc-bench.yaml"
        threads: 1
        resources:
            turn=1,
            runtime=minutes(name, runs=1),
        params:
            dataset=name,
            study=planning.trajectory_study(STUDY, name),
            code=[
                planning.trained_by(STUDY, name, method)
                for method in STUDY.methods_on(name)
            ],
        shell:
            "exec python -m psasc_bench deviation --config /dev/stdin --dataset {params.dataset} "
            "--epsilon {wildcards.epsilon} --seed {wildcards.seed} --data {input.data:q} --budget {input.budget:q} "
            "--threads {threads} --output {output} > {log} 2>&1 <<< {params.study:q}"


rule deviation:
    input:
        trajectories=planning.trajectories(STUDY, RESULTS),
        made_of=str(MADE_OF),  # younger than a table that came with the clone
    output:
        "results/deviation.csv",
    log:
        "logs/deviation.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        others=lambda wildcards: list(
            planning.of_others(STUDY, RESULTS / "deviation", "csv")
        ),
        shown=lambda wildcards: planning.of_others(STUDY, RESULTS / "deviation", "csv"),
    shell:
        # What an earlier version has left may have other columns.
        "awk 'NR == 1 {{ header = $0; print }} FNR > 1 {{ print }} FNR == 1 && $0 != header {{ "
        'print FILENAME ": has other columns than those before it; delete it" | "cat >&2"; exit 1 }}'
        "' "
        "{input.trajectories} {params.others} < /dev/null > {output} 2> {log}"
