process DRAW_PATCHES {
    label 'small'

    input:
    path reference
    path centres, stageAs: 'centres/*'      // the user's own, or []
    val patches_per_roi
    val seed
    val nifti           // whether to write the patches as a labelled NIfTI, too
    val _code

    output:
    path 'patches.csv', emit: patches
    path 'nifti/*', emit: nifti, optional: true
    path 'usage.json', topic: usage

    script:
    """
    draw_patches.py \\
        --reference ${reference} \\
        ${centres ? "--centres ${centres}" : ''} \\
        --patches_per_roi ${patches_per_roi} \\
        --seed ${seed} \\
        ${nifti ? '--nifti nifti' : ''} \\
        --output patches.csv
    """

    stub:
    """
    touch patches.csv
    echo '{}' > usage.json
    """
}
