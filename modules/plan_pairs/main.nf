process PLAN_PAIRS {
    tag "${mode}"
    label 'small'

    input:
    path registered
    val mode
    val whole       // whether pairs are compared in the whole phantom, which has no published box
    val _code

    output:
    path 'plan.csv', emit: plan
    path 'usage.json', topic: usage

    script:
    """
    plan_pairs.py \\
        --series ${registered} \\
        --mode ${mode} \\
        ${whole ? '--whole' : ''} \\
        --output plan.csv
    """

    // the plan decides which tasks there are, so a stub run makes the real one
    stub:
    """
    plan_pairs.py --series ${registered} --mode ${mode} ${whole ? '--whole' : ''} --output plan.csv
    """
}
