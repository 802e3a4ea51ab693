process EXTRACT_RADIOMICS {
    tag "${meta.method} ${meta.extractor} ${meta.id}"
    label 'features'

    input:
    // meta: region (patch, roi), extractor (radiomics, radiomics_roi); reference: its folder for whole ROIs, else []
    tuple val(meta), path(registered, stageAs: 'chunks*/*'), path(volumes, stageAs: 'volumes/*'), path(reference, stageAs: 'reference')
    path patches
    path settings_file, stageAs: 'settings/*'
    val verify      // share of regions that PyRadiomics itself computes, too
    val seed
    val _code

    output:
    tuple val(meta), path("${meta.extractor}.parquet"), path("${meta.extractor}.json"), emit: features
    path 'usage.json', topic: usage

    script:
    def region = meta.region == 'roi' ? '--reference reference' : "--patches ${patches}"
    """
    extract_radiomics.py \\
        --registered ${registered} \\
        --series_uids ${meta.uids.join(',')} \\
        --volumes volumes \\
        --region ${meta.region} \\
        ${region} \\
        --output ${meta.extractor}.parquet \\
        --params ${settings_file} \\
        --verify ${verify} \\
        --seed ${seed} \\
        --threads ${task.cpus} \\
        --extractor ${meta.extractor} \\
        --settings ${meta.extractor}.json
    """

    stub:
    """
    touch ${meta.extractor}.parquet ${meta.extractor}.json
    echo '{}' > usage.json
    """
}
