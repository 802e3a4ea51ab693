process EXTRACT_DEEP {
    tag "${meta.extractor} ${meta.id}"
    label 'deep'

    input:
    tuple val(meta), path(volumes, stageAs: 'volumes/*'), path(weights, stageAs: 'weights/*')    // weights: a file, or []
    path registered
    path patches
    val mode
    val verify          // share of patches that the library's own network computes, too
    val seed
    val _code

    output:
    tuple val(meta), path("${meta.extractor}.parquet"), path("${meta.extractor}.json"), emit: features
    path 'usage.json', topic: usage

    script:
    """
    extract_deep.py \\
        --extractor ${meta.extractor} \\
        --registered ${registered} \\
        --series_uids ${meta.uids.join(',')} \\
        --volumes volumes \\
        --patches ${patches} \\
        ${weights ? "--weights ${weights}" : ''} \\
        --mode ${mode} \\
        --verify ${verify} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --output ${meta.extractor}.parquet \\
        --settings ${meta.extractor}.json
    """

    stub:
    """
    touch ${meta.extractor}.parquet ${meta.extractor}.json
    echo '{}' > usage.json
    """
}
