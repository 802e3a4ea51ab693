process TRAIN_CLASSIFIERS {
    tag "${meta.method} ${meta.extractor} ${classifier} ${part}"
    label 'training'

    input:
    tuple val(meta), path(features), path(splits), val(classifier), val(part)    // part: i/n of its trainings
    val domain
    val mode
    val verify      // share of trainings whose first steps torch repeats
    val seed
    val _code

    output:
    tuple val(meta), path('predictions.parquet'), path('trainings.csv'), path('losses.parquet'), path('times.csv'), emit: predictions
    path 'usage.json', topic: usage

    script:
    """
    train_classifiers.py \\
        --features ${features} \\
        --extractor ${meta.extractor} \\
        --splits ${splits} \\
        --domain ${domain} \\
        --mode ${mode} \\
        --classifier ${classifier} \\
        --part ${part} \\
        --verify ${verify} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --device ${task.ext.device ?: 'cpu'} \\
        --engine ${task.ext.engine ?: 'kernels'} \\
        --output predictions.parquet \\
        --trainings trainings.csv \\
        --losses losses.parquet \\
        --times times.csv
    """

    stub:
    """
    touch predictions.parquet trainings.csv losses.parquet times.csv
    echo '{}' > usage.json
    """
}
