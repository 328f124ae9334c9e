rule audit:
    # A refuted claim fails the job, so that nothing is made of it.
    input:
        str(MADE_OF),  # younger than a table that came with the clone
    output:
        "results/audit.csv",
    log:
        "logs/audit.log",
    localrule: True
    conda:
        "../envs/psasc-bench.yaml"
    params:
        study=planning.audited_study(STUDY),
        code=planning.audited_by(STUDY),
    shell:
        "python -m psasc_bench audit --config /dev/stdin --output {output} > {log} 2>&1 <<< {params.study:q}"
