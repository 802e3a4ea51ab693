// DICOM in: the user's folder, or the digital twin; then the index over it.

include { DRAW_PHANTOM      } from '../../modules/draw_phantom/main'
include { SIMULATE_SERIES   } from '../../modules/simulate_series/main'
include { INDEX_SERIES      } from '../../modules/index_series/main'
include { codeDigest        } from '../utilities/code'
include { fingerprint       } from '../utilities/files'
include { shellQuote        } from '../utilities/files'

def twinTables(List names) {
    return names.collect { name -> file("${projectDir}/assets/twin/${name}.csv") }
}

workflow SIMULATE {
    take:
    settings    // map of parameters

    main:
    def like = settings.twin_like ? file(settings.twin_like) : []
    DRAW_PHANTOM(settings.twin_slab, like, settings.seed, twinTables(['outlines', 'rib_sections']), like ? fingerprint(like) : '', codeDigest('draw_phantom.py'))
    def choice = [
        doses: settings.twin_doses,
        reconstructions: settings.twin_reconstructions,
        repetitions: settings.twin_repetitions,
        other_reconstructions: settings.twin_other_reconstructions,
        other_repetitions: settings.twin_other_repetitions,
        seed: settings.seed,
    ]
    def scanners = channel.fromList(settings.twin_scanners.toString().tokenize(',').toUnique().toSorted())
    def tables = twinTables(['scanners', 'reconstructions', 'couches', 'odd_series'])
    SIMULATE_SERIES(scanners.combine(DRAW_PHANTOM.out.phantom), tables, choice, codeDigest('simulate_series.py'))

    emit:
    roots = SIMULATE_SERIES.out.dicom.toSortedList { a, b -> a.name <=> b.name }    // [folder of a scanner, ...]
    truth = SIMULATE_SERIES.out.truth.collectFile(name: 'truth.csv', keepHeader: true, sort: { part -> part.name })
}

workflow INDEX {
    take:
    settings    // map of parameters
    roots       // channel of one list of folders

    main:
    def found
    if (settings.index) {
        found = channel.value(file(settings.index))
    }
    else {
        def print = settings.input ? fingerprint(file(settings.input)) : ''
        INDEX_SERIES(roots, settings.series_pattern ? shellQuote(settings.series_pattern) : '', settings.strict, print, codeDigest('index_series.py'))
        found = INDEX_SERIES.out.index
    }

    emit:
    index = found       // folder: series.csv, quarantine.csv, files.parquet, inputs.csv
}
