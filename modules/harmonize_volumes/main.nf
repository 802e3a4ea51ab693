// Volumes of registered series through a method of images; what it learns from is staged with them.
process HARMONIZE_VOLUMES {
    tag "${meta.method} ${meta.id}"
    label 'harmonization'

    input:
    // meta: method, id, parts ([uids: to harmonize, fit: to learn from], each by a process of its own), shipped, image
    // (imaging or deep), max_minutes and max_gb (as method.yml has them), number (of a fold, if it is one); folder: that of
    // the method
    tuple val(meta), path(volumes, stageAs: 'volumes/*'), path(folder, stageAs: 'methods/*'), val(_digest)
    path registered
    path reference
    val harmonize_by    // what a domain is to a method
    val seed
    val nifti           // whether to write NIfTI, too
    val _code

    output:
    // all volumes or, where the method does not come to an end, none
    tuple val(meta), path('harmonized/*.b2nd', arity: '0..*'), path('harmonization.csv'), emit: volumes
    path 'nifti/*/volumes/*.nii.gz', emit: nifti, optional: true
    path 'usage.json', topic: usage

    script:
    """
    harmonize_volumes.py \\
        --method ${meta.method} \\
        --folder ${folder} \\
        ${meta.shipped ? '--shipped' : ''} \\
        --registered ${registered} \\
        ${meta.parts.collect { part -> "--series_uids=${part.uids.join(',')} --fit_uids=${part.fit.join(',')}" }.join(' ')} \\
        --volumes volumes \\
        --reference ${reference} \\
        --harmonize_by ${harmonize_by} \\
        --seed ${seed} \\
        --output harmonized \\
        ${nifti && !meta.number ? "--nifti nifti/${meta.method}/volumes" : ''} \\
        --outcome harmonization.csv
    """

    stub:
    """
    mkdir harmonized
    (cd harmonized && touch ${meta.parts.collectMany { part -> part.uids }.collect { uid -> "${uid}.b2nd" }.join(' ')})
    printf 'status,reason\\nharmonized,\\n' > harmonization.csv
    echo '{}' > usage.json
    """
}
