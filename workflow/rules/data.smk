rule study:
    # The configuration as resolved from all files and flags: what the jobs read, and what was run.
    output:
        "results/study.json",
    log:
        "logs/study.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        study=STUDY.model_dump_json(indent=1),
    shell:
        "printf '%s\n' {params.study:q} > {output} 2> {log}"


rule prepare:
    input:
        study=ancient("results/study.json"),
    output:
        "data/prepared/{dataset}.npz",
    log:
        "logs/prepare/{dataset}.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        source=lambda wildcards: STUDY.dataset(wildcards.dataset).model_dump_json(
            include={"source", "path", "mean", "deviation"}
        ),
    shell:
        "python -m psasc_bench prepare --config {input.study} --dataset {wildcards.dataset} --output {output} > {log} 2>&1"


for name in STUDY.datasets:

    rule:
        # One process for all budgets of a data set: loading the accountants takes longer than using them.
        name:
            f"budgets_{name}"
        input:
            study=ancient("results/study.json"),
            data=ancient(f"data/prepared/{name}.npz"),
        output:
            expand(
                f"results/budgets/{name}/eps-{{label}}.json", label=budget_labels(name)
            ),
        log:
            f"logs/budgets/{name}.log",
        conda:
            "../envs/psasc-bench.yaml"
        params:
            dataset=name,
            labels=budget_labels(name),
            folder=lambda wildcards, output: Path(output[0]).parent,
            protocol=STUDY.dataset(name).model_dump_json(
                include={"delta", "epochs", "expected_batch_size", "model"}
            ),
        shell:
            "python -m psasc_bench budgets --config {input.study} --dataset {params.dataset} --data {input.data} "
            "--epsilons {params.labels} --output {params.folder} > {log} 2>&1"
