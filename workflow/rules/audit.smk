rule audit:
    # A refuted claim fails the job, so that nothing is made of it, and is named even when Snakemake is asked to be quiet.
    output:
        table="results/audit.csv",
        # Unlike the table, not shipped: what needs it makes a fresh clone, too, attack a new or an edited method.
        report="results/audit.txt",
    log:
        "logs/audit.log",
    conda:
        "../envs/psasc-bench.yaml"
    params:
        study=audited_study(),
        code=[
            record.GENERATION,
            *(methods.fingerprint(methods.load(name)) for name in STUDY.methods),
        ],
    shell:
        "python -m psasc_bench audit --config /dev/stdin --output {output.table} > {output.report} 2> {log} "
        "<<< {params.study:q} "
        "|| (grep '^psasc-bench: error' {log} >&2; false)"
