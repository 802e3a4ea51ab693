// A part of the twin from simulation to registered volumes. Its DICOM lives as long as the task: it is no output of any
// task unless it is published, so that what lies on the disk is that of the parts under way.
process TAKE_SERIES {
    tag "${scanners.join(' ')}"
    label 'taking'

    input:
    tuple val(scanners), path(phantom)
    path tables, stageAs: 'tables/*'    // of the twin: scanners.csv, reconstructions.csv, noise.csv, couches.csv, odd_series.csv
    val choice      // map: options of simulate_series.py
    path reference
    val options     // map: series_pattern (quoted for the shell, or ''), mode, interpolator, short_series, strict, nifti, dicom (whether to keep it)
    val _code

    output:
    // the outcomes of all its series; the rows and volumes of those that go on, which may be none
    tuple path('contents.json'), path('transforms.csv'), path('registered.csv'), path('volumes/*.b2nd', arity: '0..*'), emit: parts
    path 'own_profile.parquet', emit: profile
    path "truth_${scanners[0]}.csv", emit: truth
    path 'nifti/*', emit: nifti, optional: true
    path 'dicom/*', emit: dicom, optional: true
    tuple val(''), path('checks.json'), topic: checks     // of any method
    path 'usage*.json', topic: usage

    script:
    """
    ${options.dicom ? '' : "trap 'rm -rf dicom' EXIT"}
    CT4BENCH_USAGE=usage_simulate.json simulate_series.py \\
        --phantom ${phantom} \\
        --scanner ${scanners.join(',')} \\
        ${choice.collect { name, value -> "--${name} ${value}" }.join(' ')} \\
        --threads ${task.cpus} \\
        --tables tables \\
        --output dicom \\
        --truth truth_${scanners[0]}.csv
    take_series.py \\
        --roots dicom/* \\
        ${options.series_pattern ? "--series_pattern ${options.series_pattern}" : ''} \\
        --reference ${reference} \\
        --mode ${options.mode} \\
        ${options.interpolator ? "--interpolator ${options.interpolator}" : ''} \\
        --short_series ${options.short_series} \\
        ${options.strict ? '--strict' : ''} \\
        --threads ${task.cpus} \\
        --contents contents.json \\
        --volumes volumes \\
        ${options.nifti ? '--nifti nifti' : ''} \\
        ${options.dicom ? '' : '--drop'} \\
        --registered registered.csv \\
        --transforms transforms.csv \\
        --profile own_profile.parquet \\
        --checks checks.json
    """

    stub:
    """
    mkdir volumes
    touch contents.json registered.csv transforms.csv own_profile.parquet
    echo 'series_uid' > truth_${scanners[0]}.csv
    echo '{}' > checks.json
    echo '{}' > usage.json
    """
}
