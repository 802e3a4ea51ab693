include { headerOf } from '../../subworkflows/utilities/code'

process INDEX_SERIES {
    label 'small'

    input:
    path roots, stageAs: 'roots/*'
    val series_pattern      // text quoted for the shell, or ''
    val strict
    tuple val(only), val(n_files), val(_fingerprint)    // entries of the root that are a part of it, quoted for the shell, or [] for the whole
    tuple path(phantom, stageAs: 'phantom/*'), val(one_mask)    // a phantom of the user's own, or []; whether one mask serves all series
    val _code

    output:
    path 'index', emit: index       // four tables, or of a part its contents.json
    path 'usage.json', topic: usage

    script:
    def whole = "${series_pattern ? "--series_pattern ${series_pattern}" : ''} ${strict ? '--strict' : ''} --output index"
    """
    mkdir -p index
    ${only ? "printf '%s\\0' ${only.join(' ')} > entries" : ''}
    index_series.py \\
        --roots roots/* \\
        --threads ${task.cpus} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
        ${one_mask ? '--one_mask' : ''} \\
        ${only ? '--only entries --contents index/contents.json' : whole}
    """

    stub:
    """
    mkdir index
    touch index/files.parquet index/contents.json
    echo '${headerOf('index/series.csv')}' > index/series.csv
    echo '${headerOf('index/quarantine.csv')}' > index/quarantine.csv
    echo '${headerOf('index/inputs.csv')}' > index/inputs.csv
    echo '{}' > usage.json
    """
}
