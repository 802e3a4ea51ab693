process DRAW_EMBEDDING {
    tag "${meta.method}"
    label 'figures'

    input:
    tuple val(meta), path(embedding), path(series, stageAs: 'series/*'), path(tables, stageAs: 'tables/*')
    val _code

    output:
    tuple val(meta), path('figures/*'), emit: figures
    path 'usage.json', topic: usage

    script:
    """
    draw_embedding.py \\
        --embedding ${embedding} \\
        --registered ${series} \\
        --facts tables/run_facts.json \\
        --output figures
    """

    stub:
    """
    mkdir figures
    touch figures/figure5.png
    echo '{}' > usage.json
    """
}
