process EMBED_FEATURES {
    tag "${meta.method}"
    label 'embedding'

    input:
    tuple val(meta), path(features)     // meta: method, extractors (in the order of their tables)
    val seed
    path phantom, stageAs: 'phantom/*'      // a phantom of the user's own, or []
    val _code

    output:
    tuple val(meta), path('embedding.parquet'), path('embedding_quality.csv'), emit: embedding
    path 'usage.json', topic: usage

    script:
    """
    embed_features.py \\
        --features ${features} \\
        --extractor ${meta.extractors.join(' ')} \\
        --seed ${seed} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
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
