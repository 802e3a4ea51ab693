include { headerOf } from '../../subworkflows/utilities/code'

process MERGE_DOWNLOAD {
    label 'small'
    cache false

    input:
    path manifest
    path missing, stageAs: 'missing*/*'
    path streamed, stageAs: 'streamed*/*'       // series.csv of each part that was deleted when it was read, or []
    val is_stream
    path output, stageAs: 'output'      // --outdir, which this writes into
    val _code

    output:
    path 'series.csv', emit: series

    script:
    """
    merge_download.py \\
        --table ${manifest} \\
        ${missing ? "--missing ${missing}" : ''} \\
        ${is_stream ? "--streamed ${streamed}" : ''} \\
        --folder output \\
        --output series.csv
    """

    stub:
    """
    mkdir -p output/dicom
    echo '${headerOf('download/series.csv')}' > series.csv
    """
}
