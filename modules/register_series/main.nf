process REGISTER_SERIES {
    tag "${meta.id}"
    label 'imaging'

    input:
    tuple val(meta), path(folders, stageAs: 'dicom*/*'), val(_fingerprint)
    path index
    path reference
    val mode
    val interpolator    // or '', for the mode's
    val short_series    // pad or stretch
    val nifti       // whether to write NIfTI, too
    val _code

    output:
    // the rows and volumes of its series that go on, which may be none
    tuple val(meta), path('registered.csv'), path('volumes/*.b2nd', arity: '0..*'), emit: chunks
    path 'transforms.csv', emit: transforms
    path 'nifti/*', emit: nifti, optional: true
    tuple val(''), path('checks.json'), topic: checks     // of any method
    path 'usage.json', topic: usage

    script:
    """
    register_series.py \\
        --series ${index}/series.csv \\
        --files ${index}/files.parquet \\
        --series_uids ${meta.uids.join(',')} \\
        --folders ${folders} \\
        --reference ${reference} \\
        --mode ${mode} \\
        ${interpolator ? "--interpolator ${interpolator}" : ''} \\
        --short_series ${short_series} \\
        --threads ${task.cpus} \\
        --volumes volumes \\
        ${nifti ? '--nifti nifti' : ''} \\
        --registered registered.csv \\
        --transforms transforms.csv \\
        --checks checks.json
    """

    stub:
    """
    mkdir volumes
    (cd volumes && touch ${meta.uids.collect { uid -> "${uid}.b2nd" }.join(' ')})
    head -n 1 ${index}/series.csv > registered.csv
    grep -E '^(${meta.uids.collect { uid -> uid.replace('.', '[.]') }.join('|')}),' ${index}/series.csv >> registered.csv || true
    touch transforms.csv
    echo '{}' > checks.json
    echo '{}' > usage.json
    """
}
