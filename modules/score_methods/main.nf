process SCORE_METHODS {
    tag "${meta.method}"
    label 'training'

    input:
    // meta: method, extractors (in the order of their tables), unfitted (features are the same whatever is fitted on);
    // left_out: a folder with each scanner by a fit without it, or []; plain, unharmonized: without harmonization
    tuple val(meta), path(features, stageAs: 'features/*'), path(predictions), path(splits), path(left_out), path(plain, stageAs: 'plain/*'), path(unharmonized, stageAs: 'plain/*'),
        path(images, stageAs: 'images/*'), path(plain_images, stageAs: 'plain_images/*'), path(reference, stageAs: 'reference'),    // pairs and profile, and the reference's folder, or []
        path(scores, stageAs: 'plain/*')    // those of none, or [] for none
    val domain
    val seed
    val _code

    output:
    tuple val(meta), path('scores.csv'), emit: scores
    path 'usage.json', topic: usage

    script:
    """
    score_methods.py \\
        --features ${features} \\
        --plain ${plain} \\
        ${left_out ? "--left_out ${left_out}" : ''} \\
        ${meta.unfitted ? '--unfitted' : ''} \\
        --extractor ${meta.extractors.join(' ')} \\
        --predictions ${predictions} \\
        --splits ${splits} \\
        --plain_predictions ${unharmonized} \\
        ${scores ? "--plain_scores ${scores}" : ''} \\
        --domain ${domain} \\
        --seed ${seed} \\
        ${images ? '--images images --plain_images plain_images --reference reference' : ''} \\
        --output scores.csv
    """

    stub:
    """
    touch scores.csv
    echo '{}' > usage.json
    """
}
