process DRAW_LEADERBOARD {
    label 'figures'

    input:
    path board, stageAs: 'board/*'
    path tables, stageAs: 'tables/*'    // without harmonization
    val _code

    output:
    path 'figures/*', emit: figures
    path 'usage.json', topic: usage

    script:
    """
    draw_leaderboard.py \\
        --board board \\
        --facts tables/run_facts.json \\
        --output figures
    """

    stub:
    """
    mkdir figures
    touch figures/leaderboard.png
    echo '{}' > usage.json
    """
}
