// Everything that a run publishes passes here, so that --outdir has all of it or nothing.
process COLLECT_RESULTS {
    tag "${method}"
    label 'small'

    input:
    path index, stageAs: 'results/index/*'
    path registration, stageAs: 'results/registration/*'
    path top, stageAs: 'results/*'
    path run, stageAs: 'results/pipeline_info/*'
    tuple val(method), path(features, stageAs: 'results/none/features/*'), path(evaluation, stageAs: 'results/none/*'), path(tables, stageAs: 'results/none/tables/*'), path(figures, stageAs: 'results/none/figures/*')
    val _code

    output:
    path 'results/**', includeInputs: true, emit: results

    script:
    """
    collect_results.py \\
        --results results \\
        --output results/pipeline_info/complete.json
    """

    stub:
    """
    mkdir -p results/pipeline_info
    touch results/pipeline_info/complete.json
    """
}
