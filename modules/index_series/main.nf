process INDEX_SERIES {
    label 'indexing'

    input:
    path roots, stageAs: 'roots/*'
    val series_pattern      // text quoted for the shell, or ''
    val strict
    val _fingerprint
    val _code

    output:
    path 'index', emit: index
    path 'usage.json', topic: usage

    script:
    """
    index_series.py \\
        --roots roots/* \\
        ${series_pattern ? "--series_pattern ${series_pattern}" : ''} \\
        ${strict ? '--strict' : ''} \\
        --threads ${task.cpus} \\
        --output index
    """

    stub:
    """
    mkdir index
    touch index/series.csv index/quarantine.csv index/files.parquet
    echo 'series_uid,scanner,dose_mgy,recon,repetition,root,folders' > index/inputs.csv
    echo '{}' > usage.json
    """
}
