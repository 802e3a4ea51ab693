process HARMONIZE_FEATURES {
    tag "${meta.method}"
    label 'training'

    input:
    // meta: method, extractors (in the order of their tables), shipped; folder: that of the method
    tuple val(meta), path(features, stageAs: 'features/*'), path(notes, stageAs: 'features/*'), path(folder, stageAs: 'methods/*'), val(_digest)
    val harmonize_by    // what a domain is to a method
    val domain
    val seed
    val _code

    output:
    // the tables of all extractors or, where the method does not come to an end, none
    tuple val(meta), path('harmonized'), emit: features
    tuple val(meta), path('left_out'), emit: left_out
    tuple val(meta), path('harmonization.csv'), emit: outcome
    path 'usage.json', topic: usage

    script:
    """
    harmonize_features.py \\
        --method ${meta.method} \\
        --folder ${folder} \\
        ${meta.shipped ? '--shipped' : ''} \\
        --features ${features} \\
        --notes ${notes} \\
        --extractor ${meta.extractors.join(' ')} \\
        --harmonize_by ${harmonize_by} \\
        --domain ${domain} \\
        --seed ${seed} \\
        --output harmonized \\
        --left_out left_out \\
        --outcome harmonization.csv
    """

    stub:
    """
    mkdir harmonized left_out
    touch ${meta.extractors.collectMany { name -> ["harmonized/${name}.parquet", "harmonized/${name}.json", "left_out/${name}.parquet"] }.join(' ')} harmonization.csv
    echo '{}' > usage.json
    """
}
