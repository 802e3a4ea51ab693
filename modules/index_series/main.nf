include { headerOf } from '../../subworkflows/utilities/code'

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
    touch index/files.parquet
    echo '${headerOf('index/series.csv')}' > index/series.csv
    echo '${headerOf('index/quarantine.csv')}' > index/quarantine.csv
    echo '${headerOf('index/inputs.csv')}' > index/inputs.csv
    echo '{}' > usage.json
    """
}
