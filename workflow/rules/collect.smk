rule verify:
    # No table is written from a run whose ledger does not hold.
    input:
        planning.run_records(STUDY, RESULTS),
    output:
        "results/ledger.csv",
    log:
        "logs/verify.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        shown=lambda wildcards: planning.of_others(STUDY, RESULTS / "runs"),
        methods=planning.method_files(STUDY),
    shell:
        "python -m psasc_bench verify --withhold --output {output} {params.methods} > {log} 2>&1"


rule collect:
    input:
        runs=planning.run_records(STUDY, RESULTS),
        ledger="results/ledger.csv",
        audit="results/audit.csv",  # nor from a mechanism whose claim has been refuted
    output:
        expand(
            "results/{table}.csv",
            table=[
                "runs",
                "times",
                "curves",
                "summary",
                "comparisons",
                "answer",
                "ranks",
                "weights",
            ],
        ),
        "results/README.md",
        report(
            "results/study.json",
            caption="../report/study.rst",
            category="Configuration",
            labels={"page": "settings"},
        ),
    log:
        "logs/collect.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        study=STUDY.model_dump_json(exclude={"sweeps"}),
        shown=lambda wildcards: planning.of_others(STUDY, RESULTS / "runs"),
        sources=planning.method_sources(STUDY),
    shell:
        "python -m psasc_bench collect --config /dev/stdin --ledger {input.ledger} > {log} 2>&1 <<< {params.study:q}"


rule claims:
    # A table that is not there leaves the claims that need it untested.
    input:
        expand(
            "results/{table}.csv",
            table=["runs", "curves", "audit", "ledger"],
        ),
    output:
        "results/claims.csv",
        "results/claims.md",
    log:
        "logs/claims.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        tables=lambda wildcards: list(
            planning.there_is(RESULTS, "deviation", "sweeps", "sweep_curves")
        ),
        shown=lambda wildcards: planning.there_is(
            RESULTS, "deviation", "sweeps", "sweep_curves"
        ),
    shell:
        "python -m psasc_bench claims {input} {params.tables} > {log} 2>&1"


rule write_up:
    input:
        expand(
            "results/{table}.csv",
            table=["summary", "runs", "comparisons", "answer", "claims"],
        ),
    output:
        WRITE_UP,
    log:
        "logs/write_up.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        code=DRAWN_BY,
        shown=lambda wildcards: planning.there_is(RESULTS, "deviation", "sweeps"),
        # the one of the study that is shipped opens with its answer
        readme="--readme README.md" if Path(WRITE_UP).parent.name == "docs" else "",
    shell:
        "python -m psasc_bench write-up --output {output} {params.readme} > {log} 2>&1"
