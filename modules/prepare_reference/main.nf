process PREPARE_REFERENCE {
    tag "${uid}"
    label 'imaging'

    input:
    tuple val(uid), path(folders, stageAs: 'dicom*/*'), val(_fingerprint)
    path index
    val spacing             // row,column,slice in mm, or ''
    val box_origin_mm       // x,y,z, or ''
    val mode
    val interpolator        // or '', for the mode's
    tuple path(phantom, stageAs: 'phantom/*'), path(mask, stageAs: 'mask/*')    // a phantom of the user's own and the one mask of its regions, or []
    val _code

    output:
    path 'reference', emit: reference
    tuple val(''), path('checks.json'), topic: checks     // of any method
    path 'usage.json', topic: usage

    script:
    """
    prepare_reference.py \\
        --series ${index}/series.csv \\
        --files ${index}/files.parquet \\
        --folders ${folders} \\
        --reference ${uid} \\
        ${spacing ? "--spacing ${spacing}" : ''} \\
        ${box_origin_mm ? "--box_origin_mm=${box_origin_mm}" : ''} \\
        --mode ${mode} \\
        ${interpolator ? "--interpolator ${interpolator}" : ''} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
        ${mask ? "--mask ${mask}" : ''} \\
        --threads ${task.cpus} \\
        --output reference \\
        --checks checks.json
    """

    stub:
    """
    mkdir reference
    touch reference/reference.json reference/volume.b2nd reference/labels.b2nd reference/block.b2nd
    echo '{}' > checks.json
    echo '{}' > usage.json
    """
}
