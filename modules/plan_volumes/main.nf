process PLAN_VOLUMES {
    label 'small'

    input:
    path registered
    val feature_doses
    val seed
    val _code

    output:
    path 'fits.csv', emit: fits
    path 'usage.json', topic: usage

    script:
    """
    plan_volumes.py \\
        --registered ${registered} \\
        --feature_doses ${feature_doses} \\
        --seed ${seed} \\
        --output fits.csv
    """

    stub:
    """
    echo scanner,scan_id,place,series_uid > fits.csv
    echo '{}' > usage.json
    """
}
