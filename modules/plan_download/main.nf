include { shellQuote } from '../../subworkflows/utilities/files'

process PLAN_DOWNLOAD {
    label 'small'
    // what is there already is seen anew by every run
    cache false

    input:
    path table
    path output, stageAs: 'output'      // --outdir, which this writes into
    val choice      // map: source, idc_endpoint, tcia_endpoint, doses, scanners, reconstructions, repetitions, parallel, alone, part_size; of a stream max_disk, reference, at_once, copies, domain, feature_doses
    val _code

    output:
    path 'manifest.csv', emit: manifest
    path 'parts/*.csv', emit: parts, optional: true
    path 'announcement.txt', emit: announcement
    path 'reference.csv', emit: reference, optional: true       // the row of a stream's reference
    path 'room.csv', emit: room, optional: true     // n_series, n_bytes: what a stream's volumes may take

    script:
    def names = ['doses', 'scanners', 'reconstructions', 'repetitions', 'idc_endpoint', 'tcia_endpoint'].findAll { name -> choice[name] }
    def streamed = choice.max_disk ? "--max_disk ${choice.max_disk} --at_once ${choice.at_once} --copies ${choice.copies} --domain ${choice.domain} --feature_doses ${choice.feature_doses} --reference ${shellQuote(choice.reference)}" : ''
    def chosen = names.collect { name -> "--${name} ${shellQuote(choice[name])}" }.join(' ')
    """
    plan_download.py \\
        --table ${table} \\
        --source ${choice.source} ${chosen} \\
        --parallel ${choice.parallel} \\
        ${choice.alone ? '--alone' : ''} \\
        --part_size ${choice.part_size} ${streamed} \\
        --folder output \\
        --output .
    """

    stub:
    """
    mkdir parts
    echo 'series_instance_uid,size_mb,seg_size_mb' | tee manifest.csv > parts/0000.csv
    ${choice.max_disk ? "mkdir -p output/download/stream/0000 output/download/reference; touch reference.csv; printf 'n_series,n_bytes\\n1,1\\n' > room.csv" : ''}
    echo 'Download: nothing, a stub' > announcement.txt
    """
}
