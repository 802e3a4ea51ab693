process EMBED_FEATURES {
    tag "${meta.method} ${meta.extractor}"
    label 'embedding'

    input:
    tuple val(meta), path(features)
    val seed
    val _code

    output:
    tuple val(meta), path('embedding.parquet'), path('embedding_quality.csv'), emit: embedding
    path 'usage.json', topic: usage

    script:
    """
    embed_features.py \\
        --features ${features} \\
        --extractor ${meta.extractor} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --output embedding.parquet \\
        --quality embedding_quality.csv
    """

    stub:
    """
    touch embedding.parquet embedding_quality.csv
    echo '{}' > usage.json
    """
}
