// A part of a download from the network to registered volumes, with which its DICOM goes. The DICOM lies in --outdir while
// the task runs, not in its folder, so that what a killed task has fetched is there for the next.

include { headerOf   } from '../../subworkflows/utilities/code'
include { shellQuote } from '../../subworkflows/utilities/files'

process STREAM_SERIES {
    tag "${part.baseName}"
    label 'download'

    input:
    tuple path(part), path(folder, stageAs: 'stream')       // table of its series; its folder in --outdir, empty but for what a killed task left
    path certificates, stageAs: 'certificates.pem'      // SSL_CERT_FILE, or []
    path reference
    val how         // map: source, endpoint, parallel, timeout, retries
    val options     // map: series_pattern (quoted for the shell, or ''), mode, interpolator, short_series, strict, nifti
    val _code

    output:
    // the outcomes of all its series; the rows and volumes of those that go on, which may be none
    tuple path('contents.json'), path('transforms.csv'), path('registered.csv'), path('volumes/*.b2nd', arity: '0..*'), emit: parts
    path 'own_profile.parquet', emit: profile
    tuple path(part), path('series.csv'), emit: series
    path 'nifti/*', emit: nifti, optional: true
    tuple val(''), path('checks.json'), topic: checks     // of any method
    path 'usage.json', topic: usage

    script:
    """
    stream_series.py \\
        --table ${part} \\
        --source ${how.source} \\
        ${how.endpoint ? "--${how.source}_endpoint ${shellQuote(how.endpoint)}" : ''} \\
        ${certificates ? '--certificates certificates.pem' : ''} \\
        --parallel ${how.parallel} \\
        --timeout ${how.timeout} \\
        --retries ${how.retries} \\
        --folder stream \\
        ${options.series_pattern ? "--series_pattern ${options.series_pattern}" : ''} \\
        --reference ${reference} \\
        --mode ${options.mode} \\
        ${options.interpolator ? "--interpolator ${options.interpolator}" : ''} \\
        --short_series ${options.short_series} \\
        ${options.strict ? '--strict' : ''} \\
        --threads ${task.cpus} \\
        --contents contents.json \\
        --volumes volumes \\
        ${options.nifti ? '--nifti nifti' : ''} \\
        --registered registered.csv \\
        --transforms transforms.csv \\
        --profile own_profile.parquet \\
        --checks checks.json \\
        --series series.csv
    """

    stub:
    """
    mkdir volumes
    touch contents.json registered.csv transforms.csv own_profile.parquet
    echo '${headerOf('download/series.csv')}' > series.csv
    echo '{}' > checks.json
    echo '{}' > usage.json
    """
}
