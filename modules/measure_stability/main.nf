process MEASURE_STABILITY {
    tag "${meta.method}"
    label 'small'

    input:
    tuple val(meta), path(features)     // meta: method, extractors (in the order of their tables)
    val domain
    val _code

    output:
    tuple val(meta), path('icc.csv'), path('icc_intervals.csv'), path('icc_left_out.csv'), path('repeatability.csv'), path('stable_features.csv'), emit: stability
    path 'usage.json', topic: usage

    script:
    """
    measure_stability.py \\
        --features ${features} \\
        --extractor ${meta.extractors.join(' ')} \\
        --domain ${domain} \\
        --output icc.csv \\
        --intervals icc_intervals.csv \\
        --left_out icc_left_out.csv \\
        --repeatability repeatability.csv \\
        --stable_features stable_features.csv
    """

    stub:
    """
    touch icc.csv icc_intervals.csv icc_left_out.csv repeatability.csv stable_features.csv
    echo '{}' > usage.json
    """
}
