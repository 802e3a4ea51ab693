process MERGE_PROFILES {
    tag "${method}"
    label 'small'

    input:
    tuple val(method), path(parts, stageAs: 'parts*/*'), path(fields, stageAs: 'fields*/*')
    val _code

    output:
    tuple val(method), path('scanner_profile.csv'), path('local_displacement.csv'), path('series_profile.parquet'), emit: profile
    path 'usage.json', topic: usage

    script:
    """
    merge_profiles.py \\
        --parts ${parts} \\
        --fields ${fields} \\
        --series series_profile.parquet \\
        --profile scanner_profile.csv \\
        --displacement local_displacement.csv
    """

    stub:
    """
    touch scanner_profile.csv local_displacement.csv series_profile.parquet
    echo '{}' > usage.json
    """
}
