// Everything that a run publishes passes here, so that --outdir has all of it or nothing.

include { layFiles } from '../../subworkflows/utilities/files'

process COLLECT_RESULTS {
    label 'small'

    input:
    tuple val(places), path(made, stageAs: 'made*/*')     // places: the folder in --outdir of each file
    path usage, stageAs: 'usage*/*'                        // what tasks cost and had loaded, or []
    val _code

    output:
    path 'results/**', emit: results

    script:
    """
    ${layFiles('results', places, made)}
    collect_results.py \\
        --results results \\
        ${usage ? "--usage ${usage}" : ''} \\
        --output results/pipeline_info/complete.json
    """

    stub:
    """
    ${layFiles('results', places, made)}
    mkdir -p results/pipeline_info
    touch results/pipeline_info/complete.json
    """
}
