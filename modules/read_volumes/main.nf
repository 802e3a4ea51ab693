include { shellQuote } from '../../subworkflows/utilities/files'

// Volumes that were harmonized elsewhere, brought to the form of those that a run makes.
process READ_VOLUMES {
    tag "${meta.method}"
    label 'imaging'

    input:
    // meta: method, brought (the user's NAME=DIR), uids; given: the folder with a NIfTI or a folder of DICOM for each series
    tuple val(meta), path(given, stageAs: 'given/*'), path(registered, stageAs: 'registered/*'), val(_fingerprint)
    val _code

    output:
    tuple val(meta), path('volumes/*.b2nd'), emit: volumes
    path 'usage.json', topic: usage

    script:
    """
    read_volumes.py \\
        --given ${given} \\
        --brought ${shellQuote(meta.brought)} \\
        --registered registered \\
        --series_uids ${meta.uids.join(',')} \\
        --output volumes
    """

    stub:
    """
    mkdir volumes
    (cd volumes && touch ${meta.uids.collect { uid -> "${uid}.b2nd" }.join(' ')})
    echo '{}' > usage.json
    """
}
