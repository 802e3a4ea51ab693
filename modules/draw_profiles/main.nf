process DRAW_PROFILES {
    tag "${meta.method}"
    label 'figures'

    input:
    tuple val(meta), path(profile), path(displacement), path(tables, stageAs: 'tables/*')
    val _code

    output:
    tuple val(meta), path('figures/*'), emit: figures
    path 'usage.json', topic: usage

    script:
    """
    draw_profiles.py \\
        --profile ${profile} \\
        --displacement ${displacement} \\
        --facts tables/run_facts.json \\
        --output figures
    """

    stub:
    """
    mkdir figures
    touch figures/profile_noise.png
    echo '{}' > usage.json
    """
}
