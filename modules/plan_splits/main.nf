process PLAN_SPLITS {
    tag "${method}"
    label 'small'

    input:
    tuple val(method), path(features)      // of one extractor: the rows of all are the same
    val domain
    val mode
    val seed
    val questions       // default, all, none, or names
    val variants        // the same
    path patches        // patches.csv, or []
    val share_inside
    val _code

    output:
    tuple val(method), path('splits.csv'), emit: splits
    tuple val(method), path('questions.csv'), emit: asked
    path 'usage.json', topic: usage

    script:
    """
    plan_splits.py \\
        --features ${features} \\
        --domain ${domain} \\
        --mode ${mode} \\
        --seed ${seed} \\
        --tasks ${questions} \\
        --variants ${variants} \\
        ${patches ? "--patches ${patches}" : ''} \\
        --share_inside ${share_inside} \\
        --questions questions.csv \\
        --output splits.csv
    """

    stub:
    """
    touch splits.csv questions.csv
    echo '{}' > usage.json
    """
}
