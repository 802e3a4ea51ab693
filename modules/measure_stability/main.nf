process MEASURE_STABILITY {
    tag "${meta.method} ${meta.extractor}"
    label 'small'

    input:
    tuple val(meta), path(features)
    val domain
    val seed
    val _code

    output:
    tuple val(meta), path('icc.csv'), path('repeatability.csv'), emit: stability
    path 'usage.json', topic: usage

    script:
    """
    measure_stability.py \\
        --features ${features} \\
        --extractor ${meta.extractor} \\
        --domain ${domain} \\
        --seed ${seed} \\
        --output icc.csv \\
        --repeatability repeatability.csv
    """

    stub:
    """
    touch icc.csv repeatability.csv
    echo '{}' > usage.json
    """
}
