process SIMULATE_SERIES {
    tag "${scanners.join(' ')}"
    label 'simulation'

    input:
    tuple val(scanners), path(phantom)
    path tables, stageAs: 'tables/*'    // scanners.csv, reconstructions.csv, noise.csv, couches.csv, odd_series.csv
    val choice      // map: doses, reconstructions, repetitions, the same and scanners and series of other doses (other_...), seed
    val _code

    output:
    path '[A-Z]*', type: 'dir', emit: dicom     // a folder for each scanner
    path "truth_${scanners[0]}.csv", emit: truth
    path 'usage.json', topic: usage

    script:
    """
    simulate_series.py \\
        --phantom ${phantom} \\
        --scanner ${scanners.join(',')} \\
        --doses ${choice.doses} \\
        --reconstructions ${choice.reconstructions} \\
        --repetitions ${choice.repetitions} \\
        --other_reconstructions ${choice.other_reconstructions} \\
        --other_repetitions ${choice.other_repetitions} \\
        --other_scanners ${choice.other_scanners} \\
        --other_series ${choice.other_series} \\
        --seed ${choice.seed} \\
        --threads ${task.cpus} \\
        --tables tables \\
        --output . \\
        --truth truth_${scanners[0]}.csv
    """

    stub:
    """
    mkdir ${scanners.join(' ')}
    echo 'series_uid' > truth_${scanners[0]}.csv
    echo '{}' > usage.json
    """
}
