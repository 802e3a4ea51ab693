process PLAN_SPLITS {
    tag "${plan}"
    label 'small'

    input:
    // plan: a name of the methods that have it; features of all extractors: their rows must be the same; cells: all, or
    // those that methods are compared by; adaptation: scans of a target that a fold gives a method, a number or half, or null
    tuple val(plan), path(features), val(cells), val(adaptation)
    val domain
    val mode
    val seed
    val tasks           // default, all, none, or names
    val ablations   // the same
    path patches        // patches.csv, or []
    val share_inside
    val _code

    output:
    tuple val(plan), path('splits.csv'), path('tasks.csv'), emit: splits
    path 'usage.json', topic: usage

    script:
    """
    plan_splits.py \\
        --features ${features} \\
        --domain ${domain} \\
        --mode ${mode} \\
        --seed ${seed} \\
        --tasks ${tasks} \\
        --ablations ${ablations} \\
        ${patches ? "--patches ${patches}" : ''} \\
        --share_inside ${share_inside} \\
        --cells ${cells} \\
        ${adaptation ? "--adaptation ${adaptation}" : ''} \\
        --table tasks.csv \\
        --output splits.csv
    """

    stub:
    """
    touch splits.csv tasks.csv
    echo '{}' > usage.json
    """
}
