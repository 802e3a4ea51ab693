process MERGE_PAIRS {
    tag "${meta.method}"
    label 'small'

    input:
    tuple val(meta), path(parts, stageAs: 'parts*/*')
    val _code

    output:
    tuple val(meta), path('pairs.parquet'), emit: pairs
    path 'usage.json', topic: usage

    script:
    """
    merge_pairs.py \\
        --parts ${parts} \\
        --output pairs.parquet
    """

    stub:
    """
    touch pairs.parquet
    echo '{}' > usage.json
    """
}
