include { isByPatch  } from '../../subworkflows/utilities/extractors'
include { shellQuote } from '../../subworkflows/utilities/files'

process MERGE_FEATURES {
    tag "${meta.method} ${meta.extractor}"
    label 'small'

    input:
    // of a table that was harmonized elsewhere meta has `brought`, the user's NAME=PLACE; plain: the features of no method, or []
    tuple val(meta), path(tables, stageAs: 'parts*/*'), path(settings, stageAs: 'parts*/*'), path(plain, stageAs: 'plain/*')
    path registered     // with patches: every row must be there; [] where the user gave the tables
    path patches
    val mode
    path phantom, stageAs: 'phantom/*'      // a phantom of the user's own, or []
    val _code

    output:
    tuple val(meta), path("${meta.extractor}.parquet"), path("${meta.extractor}.json"), emit: features
    path 'usage.json', topic: usage

    script:
    """
    merge_features.py \\
        --extractor ${meta.extractor} \\
        --tables ${tables} \\
        ${settings ? "${registered ? '--settings' : '--beside'} ${settings}" : ''} \\
        ${registered ? "--registered ${registered}" : ''} \\
        ${patches && isByPatch(meta.extractor) ? "--patches ${patches}" : ''} \\
        ${meta.brought ? "--brought ${shellQuote(meta.brought)}" : ''} \\
        ${plain ? "--plain ${plain}" : ''} \\
        --mode ${mode} \\
        ${phantom ? "--phantom ${phantom}" : ''} \\
        --output ${meta.extractor}.parquet \\
        --merged_settings ${meta.extractor}.json
    """

    stub:
    """
    touch ${meta.extractor}.parquet ${meta.extractor}.json
    echo '{}' > usage.json
    """
}
