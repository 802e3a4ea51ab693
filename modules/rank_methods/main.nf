include { layFiles } from '../../subworkflows/utilities/files'

process RANK_METHODS {
    label 'small'

    input:
    tuple val(places), path(made, stageAs: 'made*/*')     // places: the method of each file: scores.csv, harmonization.csv
    path declared       // declared.csv
    path features, stageAs: 'plain/*'   // without harmonization
    path notes, stageAs: 'plain/*'      // settings of their extractors
    path splits, stageAs: 'plain/*'     // without harmonization
    val about           // map: mode, domain, seed, harmonize_by, method_cells, version
    val _code

    output:
    path 'board/*', emit: tables
    path 'usage.json', topic: usage

    script:
    """
    mkdir -p results
    ${layFiles('results', places, made)}
    rank_methods.py \\
        --results results \\
        --declared ${declared} \\
        --features ${features} \\
        --settings ${notes} \\
        --splits ${splits} \\
        --mode ${about.mode} \\
        --domain ${about.domain} \\
        --harmonize_by ${about.harmonize_by} \\
        --method_cells ${about.method_cells} \\
        --seed ${about.seed} \\
        --version ${about.version} \\
        --output board
    """

    stub:
    """
    mkdir board
    touch board/methods.csv board/leaderboard.csv board/leaderboard_makers.csv board/comparison.json
    echo '{}' > usage.json
    """
}
