process PLAN_SPLITS {
    tag "${method}"
    label 'small'

    input:
    tuple val(method), path(features)      // of one extractor: the rows of all are the same
    val domain
    val mode
    val seed
    val _code

    output:
    tuple val(method), path('splits.csv'), emit: splits
    path 'usage.json', topic: usage

    script:
    """
    plan_splits.py \\
        --features ${features} \\
        --domain ${domain} \\
        --mode ${mode} \\
        --seed ${seed} \\
        --output splits.csv
    """

    stub:
    """
    touch splits.csv
    echo '{}' > usage.json
    """
}
