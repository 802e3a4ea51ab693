process SELECT_REFERENCE {
    label 'small'

    input:
    path index
    path used, stageAs: 'used/*'    // the choice that series were registered to already, or []
    val reference      // text quoted for the shell
    val domain              // or '', where the index is of the reference alone
    val feature_doses       // mGy, comma-separated
    val _code

    output:
    path 'reference.csv', emit: choice      // series_uid, root, folder: one row a folder
    path 'usage.json', topic: usage

    script:
    """
    select_reference.py \\
        --series ${index}/series.csv \\
        --files ${index}/files.parquet \\
        --reference ${reference} \\
        ${domain ? "--domain ${domain} --feature_doses ${feature_doses}" : ''} \\
        ${used ? "--used ${used}" : ''} \\
        --output reference.csv
    """

    stub:
    """
    head -n 2 ${index}/inputs.csv | awk -F, 'NR == 1 {print "series_uid,root,folder"} NR == 2 {split(\$7, f, ";"); p = f[1]; sub("^[^/]*/?", "", p); print \$1 "," \$6 "," p}' > reference.csv
    echo '{}' > usage.json
    """
}
