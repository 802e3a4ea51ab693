process TRAIN_CLASSIFIERS {
    tag "${meta.method} ${meta.extractor} ${classifier} ${part}"
    label 'training'

    input:
    // part: i/n of its trainings; method: the variant that maps the features of each fold, from the folder, or [] where
    // they are taken as they are; folds: of one that maps volumes in each fold the folder of their features, else []
    tuple val(meta), path(features), path(splits), val(classifier), val(part), val(method), path(folder, stageAs: 'methods/*'), path(folds)
    val domain
    val mode
    val verify      // share of trainings whose first steps torch repeats; none on features that a method maps: the kernels are checked on the same features as they are
    val seed
    val harmonize_by
    val _code

    output:
    tuple val(meta), path('predictions.parquet'), path('trainings.csv'), path('losses.parquet'), path('times.csv'), path('untrained.csv'), emit: predictions
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
        --verify ${method ? 0 : verify} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --device ${task.ext.device ?: 'cpu'} \\
        --engine ${task.ext.engine ?: 'kernels'} \\
        --output predictions.parquet \\
        --trainings trainings.csv \\
        --losses losses.parquet \\
        --times times.csv \\
        --untrained untrained.csv${method ? " \\\n        --method ${method.name} --folder ${folder} ${method.shipped ? '--shipped' : ''} --harmonize_by ${harmonize_by}${folds ? " --folds ${folds}" : ''}" : ''}
    """

    stub:
    """
    touch predictions.parquet trainings.csv losses.parquet times.csv untrained.csv
    echo '{}' > usage.json
    """
}
