include { layFiles } from '../../subworkflows/utilities/files'

process WRITE_REPORT {
    label 'figures'

    input:
    // places: the folder of each file, <method>/tables, figures and features (settings), or <method> (scanner_profile.csv, embedding.parquet, icc.csv)
    tuple val(methods), val(places), path(made, stageAs: 'made*/*')
    // of the images, each [] where the run started from features
    path registered
    path series, stageAs: 'series/*'    // in their place a table of features, or []
    path quarantine
    path transforms
    path patches
    path reference
    path truth
    path board, stageAs: 'board/*'     // tables and figures of the leaderboard, or []
    path run            // parameters and versions, JSON
    path usage, stageAs: 'usage*/*'
    path deviations
    path template
    val _code

    output:
    path 'report*.html', emit: report   // the report, and report_<method>.html of each further method

    script:
    """
    ${layFiles('methods', places, made)}
    write_report.py \\
        --methods ${methods.collect { method -> "methods/${method}" }.join(' ')} \\
        ${registered ? "--registered ${registered}" : ''} \\
        ${series ? "--series ${series}" : ''} \\
        ${quarantine ? "--quarantine ${quarantine}" : ''} \\
        ${transforms ? "--transforms ${transforms}" : ''} \\
        ${patches ? "--patches ${patches}" : ''} \\
        ${reference ? "--reference ${reference}" : ''} \\
        ${truth ? "--truth ${truth}" : ''} \\
        ${board ? "--board board" : ''} \\
        --run ${run} \\
        --usage ${usage} \\
        --deviations ${deviations} \\
        --template ${template} \\
        --output report.html
    """

    stub:
    """
    touch report.html
    """
}
