process MAKE_TABLES {
    tag "${meta.method}"
    label 'small'

    input:
    // meta: method, mode, domain, seed, imageless (it maps features, and images are those without it); registered series, or a table of features where there is no index; checks: what
    // tasks computed twice, or []
    tuple val(meta), path(series, stageAs: 'series/*'), path(evaluation, stageAs: 'evaluation/*'), path(settings, stageAs: 'settings/*'), path(checks, stageAs: 'checks*/*')
    path index, stageAs: 'index.csv'       // all accepted series, or []
    path published, stageAs: 'published/*'  // the paper's tables
    path scanners                           // display names
    path extractors                         // their list
    path phantom, stageAs: 'phantom/*'      // a phantom of the user's own, or []
    val _code

    output:
    tuple val(meta), path('tables/*'), emit: tables
    path 'usage.json', topic: usage

    script:
    def options = [
        'pairs.parquet': 'pairs', 'icc.csv': 'icc', 'icc_intervals.csv': 'intervals', 'icc_left_out.csv': 'icc_left_out', 'repeatability.csv': 'repeatability',
        'predictions.parquet': 'predictions', 'embedding_quality.csv': 'embedding_quality',
        'tasks.csv': 'tasks', 'stable_features.csv': 'stable_features', 'trainings.csv': 'trainings',
    ]
    def names = [evaluation].flatten().collect { table -> table.toString().tokenize('/').last() }
    def given = names.findAll { name -> options[name] }.collect { name -> "--${options[name]} evaluation/${name}" }
    """
    make_tables.py \\
        --series ${series} \\
        ${index ? '--index index.csv' : ''} \\
        ${given.join(' ')} \\
        --settings ${settings} \\
        ${checks ? "--checks ${checks}" : ''} \\
        --mode ${meta.mode} \\
        --method ${meta.method} \\
        --domain ${meta.domain} \\
        --seed ${meta.seed} \\
        ${meta.imageless ? '--imageless' : ''} \\
        --published published \\
        --scanners ${scanners} \\
        --extractors ${extractors} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
        --output tables
    """

    stub:
    """
    mkdir tables
    touch tables/run_facts.json
    echo '{}' > usage.json
    """
}
