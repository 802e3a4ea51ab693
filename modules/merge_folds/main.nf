process MERGE_FOLDS {
    tag "${method}"
    label 'small'

    input:
    // numbers: of the fit of each file; files: tables of features, and harmonization.csv of each fit
    tuple val(method), val(numbers), path(files, stageAs: 'parts*/*')
    path folds
    val domain
    val seed
    val _code

    output:
    tuple val(method), path('merged'), emit: folds
    tuple val(method), path('left_out'), emit: left_out
    tuple val(method), path('harmonization.csv'), emit: outcomes
    path 'usage.json', topic: usage

    script:
    """
    merge_folds.py \\
        --folds ${folds} \\
        --numbers ${numbers.join(' ')} \\
        --files ${files} \\
        --domain ${domain} \\
        --seed ${seed} \\
        --output merged \\
        --left_out left_out \\
        --outcome harmonization.csv
    """

    stub:
    """
    mkdir merged left_out
    touch merged/folds.csv merged/outcomes.csv harmonization.csv
    echo '{}' > usage.json
    """
}
