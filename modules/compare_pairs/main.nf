process COMPARE_PAIRS {
    tag "${meta.method} ${meta.task}"
    label 'comparison'

    input:
    tuple val(meta), path(volumes, stageAs: 'volumes/*')
    path plan
    path reference
    val _code

    output:
    tuple val(meta), path('pairs.parquet'), emit: pairs
    tuple val(meta.method), path('checks.json'), topic: checks
    path 'usage.json', topic: usage

    script:
    """
    compare_pairs.py \\
        --plan ${plan} \\
        --task ${meta.task} \\
        --volumes volumes \\
        --reference ${reference} \\
        --threads ${task.cpus} \\
        --output pairs.parquet \\
        --checks checks.json
    """

    stub:
    """
    touch pairs.parquet
    echo '{}' > checks.json
    echo '{}' > usage.json
    """
}
