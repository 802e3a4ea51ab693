include { headerOf } from '../../subworkflows/utilities/code'

process MERGE_DOWNLOAD {
    label 'small'
    cache false

    input:
    path manifest
    path missing, stageAs: 'missing*/*'
    path output, stageAs: 'output'      // --outdir, which this writes into
    val _code

    output:
    path 'series.csv', emit: series

    script:
    """
    merge_download.py \\
        --table ${manifest} \\
        ${missing ? "--missing ${missing}" : ''} \\
        --folder output \\
        --output series.csv
    """

    stub:
    """
    mkdir -p output/dicom
    echo '${headerOf('download/series.csv')}' > series.csv
    """
}
