process EXTRACT_DEEP {
    tag "${meta.method} ${meta.extractor} ${meta.id}"
    label 'deep'

    input:
    // meta: extractor, module (of a shipped encoder) or source (of one of the user's), and options; weights and code: a file, or []
    tuple val(meta), path(registered, stageAs: 'chunks*/*'), path(volumes, stageAs: 'volumes/*'), path(weights, stageAs: 'weights/*'), path(code, stageAs: 'code/*'), val(_code)
    path patches
    val mode
    val verify          // share of patches that the library's own network computes, too
    val seed

    output:
    tuple val(meta), path("${meta.extractor}.parquet"), path("${meta.extractor}.json"), emit: features
    path 'usage.json', topic: usage

    script:
    def options = meta.options.findAll { _name, value -> value != null }.collect { name, value -> "--${name} ${value}" }
    """
    extract_deep.py \\
        --extractor '${meta.source ? "${meta.extractor}=${meta.source}" : meta.extractor}' \\
        ${meta.module ? "--module ${meta.module}" : ''} \\
        --registered ${registered} \\
        --series_uids ${meta.uids.join(',')} \\
        --volumes volumes \\
        --patches ${patches} \\
        ${weights ? "--weights ${weights}" : ''} \\
        ${options.join(' ')} \\
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
