// With STREAM_SERIES the one process with a network, in every profile.

include { headerOf   } from '../../subworkflows/utilities/code'
include { shellQuote } from '../../subworkflows/utilities/files'

process DOWNLOAD_SERIES {
    tag "${part.baseName}"
    label 'download'
    // it is the plan that says what is still to be fetched
    cache false

    input:
    path part
    path output, stageAs: 'output'      // --outdir, which this writes into
    path certificates, stageAs: 'certificates.pem'      // SSL_CERT_FILE, or []
    val how     // map: source, endpoint, parallel, timeout, retries
    val _code

    output:
    tuple path(part), path("missing_${part.baseName}.csv"), emit: missing

    script:
    """
    download_series.py \\
        --table ${part} \\
        --source ${how.source} \\
        ${how.endpoint ? "--${how.source}_endpoint ${shellQuote(how.endpoint)}" : ''} \\
        ${certificates ? '--certificates certificates.pem' : ''} \\
        --parallel ${how.parallel} \\
        --timeout ${how.timeout} \\
        --retries ${how.retries} \\
        --missing missing_${part.baseName}.csv \\
        --output output
    """

    stub:
    """
    echo '${headerOf('download/missing.csv')}' > missing_${part.baseName}.csv
    """
}
