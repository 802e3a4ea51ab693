include { headerOf } from '../../subworkflows/utilities/code'

process MERGE_INDEX {
    label 'small'

    input:
    path parts, stageAs: 'parts*/*'     // contents of all parts
    path roots, stageAs: 'roots/*'      // their folders, or [] where they are gone
    val series_pattern      // text quoted for the shell, or ''
    val strict
    tuple path(phantom, stageAs: 'phantom/*'), val(one_mask)    // a phantom of the user's own, or []; whether one mask serves all series
    val _code

    output:
    path 'index', emit: index
    path 'usage.json', topic: usage

    script:
    """
    merge_index.py \\
        --parts ${parts} \\
        ${roots ? '--roots roots/*' : ''} \\
        ${series_pattern ? "--series_pattern ${series_pattern}" : ''} \\
        ${strict ? '--strict' : ''} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
        ${one_mask ? '--one_mask' : ''} \\
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
