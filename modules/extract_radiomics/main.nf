process EXTRACT_RADIOMICS {
    tag "${meta.id}"
    label 'features'

    input:
    tuple val(meta), path(volumes, stageAs: 'volumes/*')
    path registered
    path patches
    path settings_file, stageAs: 'settings/*'
    val verify      // share of patches that PyRadiomics itself computes, too
    val seed
    val _code

    output:
    tuple val(meta), path('radiomics.parquet'), path('radiomics.json'), emit: features
    path 'usage.json', topic: usage

    script:
    """
    extract_radiomics.py \\
        --registered ${registered} \\
        --series_uids ${meta.uids.join(',')} \\
        --volumes volumes \\
        --patches ${patches} \\
        --params ${settings_file} \\
        --verify ${verify} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --output radiomics.parquet \\
        --settings radiomics.json
    """

    stub:
    """
    touch radiomics.parquet radiomics.json
    echo '{}' > usage.json
    """
}
