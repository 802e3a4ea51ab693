process WRITE_REPORT {
    tag "${meta.method}"
    label 'figures'

    input:
    tuple val(meta), path(tables, stageAs: 'tables/*'), path(figures, stageAs: 'figures/*'), path(settings, stageAs: 'settings/*'), path(profile)
    // of the images, each [] where the run started from features
    path registered
    path quarantine
    path transforms
    path patches
    path reference
    path truth
    path run            // parameters and versions, JSON
    path usage, stageAs: 'usage*/*'
    path deviations
    path template
    val _code

    output:
    tuple val(meta), path('report.html'), emit: report

    script:
    """
    write_report.py \\
        --facts tables/run_facts.json \\
        --tables tables \\
        --figures figures \\
        ${registered ? "--registered ${registered}" : ''} \\
        ${quarantine ? "--quarantine ${quarantine}" : ''} \\
        ${transforms ? "--transforms ${transforms}" : ''} \\
        ${patches ? "--patches ${patches}" : ''} \\
        ${reference ? "--reference ${reference}" : ''} \\
        ${truth ? "--truth ${truth}" : ''} \\
        --settings ${settings} \\
        ${profile ? "--profile ${profile}" : ''} \\
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
