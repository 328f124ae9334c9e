for name in SHARED:

    rule:
        # All seeds of a cell in one process. Records that are current are left alone, so that a new seed trains only
        # itself: hence update().
        name:
            f"train_{name}"
        input:
            study=ancient("results/study.json"),
            data=ancient(f"data/prepared/{name}.npz"),
            budget=ancient(f"results/budgets/{name}/eps-{{epsilon}}.json"),
        output:
            update(
                expand(
                    f"results/runs/{name}/{{{{method}}}}/eps-{{{{epsilon}}}}/seed-{{seed}}.{{ending}}",
                    seed=STUDY.cell_seeds(name),
                    ending=["json", "csv"],
                )
            ),
        log:
            f"logs/train/{name}/{{method}}/eps-{{epsilon}}.log",
        conda:
            "../envs/psasc-bench.yaml"
        threads: 1
        params:
            trained_by=lambda wildcards, dataset=name: trained_by(
                dataset, wildcards.method, wildcards.epsilon
            ),
            dataset=name,
            seeds=STUDY.cell_seeds(name),
        shell:
            "python -m psasc_bench train --config {input.study} --dataset {params.dataset} --method {wildcards.method} "
            "--epsilon {wildcards.epsilon} --seeds {params.seeds} --data {input.data} --budget {input.budget} "
            "--threads {threads} > {log} 2>&1"


rule train_run:
    input:
        study=ancient("results/study.json"),
        data=ancient("data/prepared/{dataset}.npz"),
        budget=ancient("results/budgets/{dataset}/eps-{epsilon}.json"),
    output:
        expand(
            "results/runs/{{dataset}}/{{method}}/eps-{{epsilon}}/seed-{{seed}}.{ending}",
            ending=["json", "csv"],
        ),
    log:
        "logs/train/{dataset}/{method}/eps-{epsilon}/seed-{seed}.log",
    wildcard_constraints:
        dataset=alternatives([name for name in STUDY.datasets if name not in SHARED]),
    conda:
        "../envs/psasc-bench.yaml"
    threads: 1
    params:
        trained_by=lambda wildcards: trained_by(
            wildcards.dataset, wildcards.method, wildcards.epsilon
        ),
    shell:
        "python -m psasc_bench train --config {input.study} --dataset {wildcards.dataset} --method {wildcards.method} "
        "--epsilon {wildcards.epsilon} --seeds {wildcards.seed} --data {input.data} --budget {input.budget} "
        "--threads {threads} > {log} 2>&1"
