process MERGE_PREDICTIONS {
    tag "${method}"
    label 'small'

    input:
    tuple val(method), path(predictions, stageAs: 'parts*/*'), path(trainings, stageAs: 'parts*/*'), path(losses, stageAs: 'parts*/*'), path(times, stageAs: 'parts*/*'), path(untrained, stageAs: 'parts*/*'), path(splits)
    val _code

    output:
    tuple val(method), path('predictions.parquet'), path('trainings.csv'), path('losses.parquet'), path('untrained.csv'), emit: predictions
    tuple val(method), path('training_times.csv'), emit: times
    path 'usage.json', topic: usage

    script:
    """
    merge_predictions.py \\
        --predictions ${predictions} \\
        --trainings ${trainings} \\
        --losses ${losses} \\
        --times ${times} \\
        --splits ${splits} \\
        --untrained ${untrained} \\
        --merged_untrained untrained.csv \\
        --output predictions.parquet \\
        --merged_trainings trainings.csv \\
        --merged_losses losses.parquet \\
        --merged_times training_times.csv
    """

    stub:
    """
    touch predictions.parquet trainings.csv losses.parquet untrained.csv training_times.csv
    echo '{}' > usage.json
    """
}
