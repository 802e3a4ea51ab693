include { shellQuote } from '../../subworkflows/utilities/files'

process PLAN_DOWNLOAD {
    label 'small'
    // what is there already is seen anew by every run
    cache false

    input:
    path table
    path output, stageAs: 'output'      // --outdir, which this writes into
    val choice      // map: source, doses, scanners, reconstructions, repetitions, parallel, alone, part_size
    val _code

    output:
    path 'manifest.csv', emit: manifest
    path 'parts/*.csv', emit: parts, optional: true
    path 'announcement.txt', emit: announcement

    script:
    def names = ['doses', 'scanners', 'reconstructions', 'repetitions'].findAll { name -> choice[name] }
    def chosen = names.collect { name -> "--${name} ${shellQuote(choice[name])}" }.join(' ')
    """
    plan_download.py \\
        --table ${table} \\
        --source ${choice.source} ${chosen} \\
        --parallel ${choice.parallel} \\
        ${choice.alone ? '--alone' : ''} \\
        --part_size ${choice.part_size} \\
        --folder output \\
        --output .
    """

    stub:
    """
    mkdir parts
    touch manifest.csv parts/0000.csv
    echo 'Download: nothing, a stub' > announcement.txt
    """
}
