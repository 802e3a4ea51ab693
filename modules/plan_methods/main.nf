include { shellQuote } from '../../subworkflows/utilities/files'

process PLAN_METHODS {
    label 'small'

    input:
    // names of all methods in order; the folder of each that has one, whether it is one of the project's own, and where
    // those of users lie
    tuple val(names), val(brought), val(shipped), path(folders, stageAs: 'methods/*'), val(called), val(_digests)
    path series         // series.csv of the index, or a table of features; [] where they are only read, and no costs told
    val choice          // map: extractors, feature_doses, domain, cells
    val _code

    output:
    path 'declared.csv', emit: methods
    path 'costs.txt', emit: costs, optional: true
    path 'usage.json', topic: usage

    script:
    """
    plan_methods.py \\
        --methods ${names.join(' ')} \\
        ${brought ? "--brought ${brought.join(' ')}" : ''} \\
        ${shipped ? "--shipped ${shipped.join(' ')}" : ''} \\
        ${folders ? "--folders ${folders}" : ''} \\
        ${called ? "--called ${called.collect { place -> shellQuote(place) }.join(' ')}" : ''} \\
        ${series ? "--series ${series}" : ''} \\
        --extractors ${choice.extractors.join(' ')} \\
        ${choice.feature_doses ? "--feature_doses ${choice.feature_doses}" : ''} \\
        --domain ${choice.domain} \\
        --cells ${choice.cells} \\
        --output declared.csv \\
        --costs costs.txt
    """

    stub:
    """
    touch declared.csv costs.txt
    echo '{}' > usage.json
    """
}
