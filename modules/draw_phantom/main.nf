process DRAW_PHANTOM {
    tag "${slab}"
    label 'simulation'

    input:
    val slab
    path like, stageAs: 'like'      // folder with one real series, or []
    val seed
    path tables, stageAs: 'tables/*'    // outlines.csv, rib_sections.csv, print.npz
    val _fingerprint
    val _code

    output:
    path 'phantom', emit: phantom
    path 'usage.json', topic: usage

    script:
    """
    draw_phantom.py \\
        --slab ${slab} \\
        ${like ? '--like like' : ''} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --tables tables \\
        --print tables/print.npz \\
        --output phantom
    """

    stub:
    """
    mkdir phantom
    touch phantom/phantom.json
    echo '{}' > usage.json
    """
}
