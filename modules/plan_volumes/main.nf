process PLAN_VOLUMES {
    label 'small'

    input:
    path registered
    val feature_doses
    val domain      // what a fold leaves out
    val mode
    val seed
    val _code

    output:
    path 'fits.csv', emit: fits
    path 'folds.csv', emit: folds
    path 'usage.json', topic: usage

    script:
    """
    plan_volumes.py \\
        --registered ${registered} \\
        --feature_doses ${feature_doses} \\
        --domain ${domain} \\
        --mode ${mode} \\
        --seed ${seed} \\
        --output fits.csv \\
        --folds folds.csv
    """

    stub:
    """
    echo scanner,scan_id,place,series_uid > fits.csv
    echo number,n_train,fold,role,series_uid > folds.csv
    echo '{}' > usage.json
    """
}
