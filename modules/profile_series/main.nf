// All repetitions of a scanner, dose and reconstruction are in one task: what differs between them is quantum noise.
process PROFILE_SERIES {
    tag "${meta.method} ${meta.id}"
    label 'imaging'

    input:
    // the registered volumes, and the folders of the series as they were scanned, or [] where that is measured already or
    // the volumes are a method's
    tuple val(meta), path(volumes, stageAs: 'volumes/*'), path(folders, stageAs: 'dicom*/*'), val(_fingerprint)
    path registered
    path index
    path reference
    val _code

    output:
    tuple val(meta), path('profile.parquet'), path('displacement.parquet'), emit: profile
    path 'usage.json', topic: usage

    script:
    """
    profile_series.py \\
        --registered ${registered} \\
        --series_uids ${meta.uids.join(',')} \\
        --volumes volumes \\
        --reference ${reference} \\
        ${folders ? "--files ${index}/files.parquet --folders ${folders}" : ''} \\
        --output profile.parquet \\
        --fields displacement.parquet
    """

    stub:
    """
    touch profile.parquet displacement.parquet
    echo '{}' > usage.json
    """
}
