process MERGE_TABLES {
    tag "${meta.method} ${meta.name}"
    label 'small'

    input:
    tuple val(meta), path(parts, stageAs: 'parts*/*')      // meta: method, name (of the file), sort_by (columns)
    val _code

    output:
    tuple val(meta), path("${meta.name}"), emit: table
    path 'usage.json', topic: usage

    script:
    """
    merge_tables.py \\
        --parts ${parts} \\
        --sort_by ${meta.sort_by} \\
        --output ${meta.name}
    """

    stub:
    """
    touch ${meta.name}
    echo '{}' > usage.json
    """
}
