process DRAW_RESULTS {
    tag "${meta.method}"
    label 'figures'

    input:
    tuple val(meta), path(tables, stageAs: 'tables/*')
    val _code

    output:
    tuple val(meta), path('figures/*'), emit: figures
    path 'usage.json', topic: usage

    script:
    """
    draw_results.py \\
        --tables tables \\
        --facts tables/run_facts.json \\
        --output figures
    """

    stub:
    """
    mkdir figures
    touch figures/accuracy_by_n.png
    echo '{}' > usage.json
    """
}
