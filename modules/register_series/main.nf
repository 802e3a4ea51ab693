process REGISTER_SERIES {
    tag "${meta.id}"
    label 'imaging'

    input:
    tuple val(meta), path(folders, stageAs: 'dicom*/*'), val(_fingerprint)
    path index
    path reference
    val interpolator
    val short_series    // pad or stretch
    val nifti       // whether to write NIfTI, too
    val _code

    output:
    tuple val(meta), path('volumes/*.b2nd'), emit: volumes, optional: true
    path 'transforms.csv', emit: transforms
    path 'nifti/*.nii.gz', emit: nifti, optional: true
    path 'usage.json', topic: usage

    script:
    """
    register_series.py \\
        --series ${index}/series.csv \\
        --files ${index}/files.parquet \\
        --series_uids ${meta.uids.join(',')} \\
        --folders ${folders} \\
        --reference ${reference} \\
        --interpolator ${interpolator} \\
        --short_series ${short_series} \\
        --threads ${task.cpus} \\
        --volumes volumes \\
        ${nifti ? '--nifti nifti' : ''} \\
        --transforms transforms.csv
    """

    stub:
    """
    mkdir volumes
    (cd volumes && touch ${meta.uids.collect { uid -> "${uid}.b2nd" }.join(' ')})
    touch transforms.csv
    echo '{}' > usage.json
    """
}
