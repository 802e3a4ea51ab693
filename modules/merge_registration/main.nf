process MERGE_REGISTRATION {
    label 'small'

    input:
    path index
    path transforms, stageAs: 'transforms*/*'
    val strict
    val _code

    output:
    path 'registered.csv', emit: registered
    path 'quarantine.csv', emit: quarantine
    path 'transforms.csv', emit: transforms
    path 'usage.json', topic: usage

    script:
    """
    merge_registration.py \\
        --series ${index}/series.csv \\
        --quarantine ${index}/quarantine.csv \\
        --transforms ${transforms} \\
        ${strict ? '--strict' : ''} \\
        --registered registered.csv \\
        --merged_quarantine quarantine.csv \\
        --merged_transforms transforms.csv
    """

    stub:
    """
    cp ${index}/series.csv registered.csv
    touch quarantine.csv transforms.csv
    echo '{}' > usage.json
    """
}
