process SIMULATE_SERIES {
    tag "${scanner}"
    label 'simulation'

    input:
    tuple val(scanner), path(phantom)
    path tables, stageAs: 'tables/*'    // scanners.csv, reconstructions.csv, couches.csv, odd_series.csv
    val choice      // map: doses, reconstructions, repetitions, other_reconstructions, other_repetitions, seed
    val _code

    output:
    path "${scanner}", type: 'dir', emit: dicom
    path "truth_${scanner}.csv", emit: truth
    path 'usage.json', topic: usage

    script:
    """
    simulate_series.py \\
        --phantom ${phantom} \\
        --scanner ${scanner} \\
        --doses ${choice.doses} \\
        --reconstructions ${choice.reconstructions} \\
        --repetitions ${choice.repetitions} \\
        --other_reconstructions ${choice.other_reconstructions} \\
        --other_repetitions ${choice.other_repetitions} \\
        --seed ${choice.seed} \\
        --threads ${task.cpus} \\
        --tables tables \\
        --output ${scanner} \\
        --truth truth_${scanner}.csv
    """

    stub:
    """
    mkdir ${scanner}
    echo 'series_uid' > truth_${scanner}.csv
    echo '{}' > usage.json
    """
}
