process DRAW_IMAGES {
    tag "${meta.method}"
    label 'figures'

    input:
    tuple val(meta), path(volumes, stageAs: 'volumes/*'), path(tables, stageAs: 'tables/*'), path(embedding)
    path registered
    path reference
    path patches
    path scanners       // display names
    val _code

    output:
    tuple val(meta), path('figures/*'), emit: figures
    path 'usage.json', topic: usage

    script:
    """
    mkdir -p volumes
    draw_images.py \\
        --reference ${reference} \\
        --registered ${registered} \\
        --volumes volumes \\
        --facts tables/run_facts.json \\
        --scanners ${scanners} \\
        --embedding ${embedding} \\
        --patches ${patches} \\
        --output figures
    """

    stub:
    """
    mkdir figures
    touch figures/figure2.png
    echo '{}' > usage.json
    """
}
