// DICOM in: the user's folder, the collection from where it is published, or the digital twin; then the index over it.

include { DRAW_PHANTOM                          } from '../../modules/draw_phantom/main'
include { SIMULATE_SERIES                       } from '../../modules/simulate_series/main'
include { SIMULATE_SERIES as SIMULATE_REFERENCE } from '../../modules/simulate_series/main'
include { INDEX_SERIES                          } from '../../modules/index_series/main'
include { INDEX_SERIES as INDEX_REFERENCE       } from '../../modules/index_series/main'
include { MERGE_INDEX                           } from '../../modules/merge_index/main'
include { codeDigest                            } from '../utilities/code'
include { fingerprint                           } from '../utilities/files'
include { phantomFile                           } from '../utilities/files'
include { shellQuote                            } from '../utilities/files'
include { survey                                } from '../utilities/files'
include { referenceChoice                       } from '../utilities/twin'
include { scannerTables                         } from '../utilities/twin'
include { twinChoice                            } from '../utilities/twin'
include { twinTables                            } from '../utilities/twin'

// Scanners in tasks of about three chunks of series: a task takes longer to start than to simulate a series.
def simulationTasks(settings) {
    def names = settings.twin_scanners.toString().tokenize(',').toUnique().toSorted()
    def wide = settings.twin_other_scanners.toString().tokenize(',')
    def (doses, recons, others) = [settings.twin_doses, settings.twin_reconstructions, settings.twin_other_reconstructions]
        .collect { list -> list.toString().tokenize(',').toUnique().size() }
    def of_a_dose = others * settings.twin_other_repetitions
    def other = (doses - 1) * (settings.twin_other_series == 'table6' ? Math.min(5, of_a_dose) : of_a_dose)
    def series = names.collect { name -> recons * settings.twin_repetitions + (name in wide ? other : 0) }
    def size = 3 * settings.chunk_size
    def tasks = Math.min(names.size(), (series.sum() + size - 1).intdiv(size))
    // A scanner belongs to the task in whose share of all series its middle lies.
    def task_of = names.indices.collect { i ->
        (tasks * (2 * (series.take(i).sum() ?: 0) + series[i])).intdiv(2 * series.sum())
    }
    return names.indices.groupBy { i -> task_of[i] }.values().collect { group -> group.collect { i -> names[i] } }
}

workflow PHANTOM {
    take:
    settings    // map of parameters

    main:
    def like = settings.twin_like ? file(settings.twin_like) : []
    DRAW_PHANTOM(settings.twin_slab, like, settings.seed, twinTables(['outlines', 'rib_sections']) + [file("${projectDir}/assets/phantom/print.npz")], like ? fingerprint(like) : '', codeDigest('draw_phantom.py'))

    emit:
    phantom = DRAW_PHANTOM.out.phantom      // folder
}

workflow SIMULATE {
    take:
    settings    // map of parameters

    main:
    PHANTOM(settings)
    // wrapped, so that combine() takes a list as one item
    def scanners = channel.fromList(simulationTasks(settings).collect { group -> [group] })
    SIMULATE_SERIES(scanners.combine(PHANTOM.out.phantom), scannerTables(), twinChoice(settings), codeDigest('simulate_series.py'))

    emit:
    roots = SIMULATE_SERIES.out.dicom.flatten().toSortedList { a, b -> a.name <=> b.name }    // [folder of a scanner, ...]
    truth = SIMULATE_SERIES.out.truth.collectFile(name: 'truth.csv', keepHeader: true, sort: { part -> part.name })
}

// What the twin in parts begins with: the phantom, and the series that all others are registered to.
workflow SIMULATE_FIRST {
    take:
    settings    // map of parameters

    main:
    PHANTOM(settings)
    def (scanner, own) = referenceChoice(settings)
    SIMULATE_REFERENCE(channel.of([[scanner]]).combine(PHANTOM.out.phantom), scannerTables(), own, codeDigest('simulate_series.py'))
    def places = SIMULATE_REFERENCE.out.dicom.map { folder -> [folder] }.first()
    INDEX_REFERENCE(places, '', false, [[], 400, ''], [[], false], codeDigest('index_series.py'))

    emit:
    phantom = PHANTOM.out.phantom           // folder
    roots = places                          // [folder]
    index = INDEX_REFERENCE.out.index       // folder: the index of the reference alone
}

// The entries of a folder in at most 16 parts, neighbours together: [[entry, ...], number of files, digest of them].
def folderParts(folder) {
    def entries = folder.listFiles().toSorted { a, b -> a.name <=> b.name }
    if (!entries) {
        return [[[shellQuote('')], 0, '']]
    }
    return entries.collate((entries.size() + 15).intdiv(16)).collect { part ->
        def found = part.collect { entry -> entry.isDirectory() ? survey(entry) : [1, "${entry.size()} ${entry.lastModified()}"] }
        def lines = [part, found].transpose().collect { entry, own -> "${entry.name} ${own[1]}" }
        [part.collect { entry -> shellQuote(entry.name) }, found.collect { own -> own[0] }.sum(), lines.join('\n').digest('SHA-256')]
    }
}

// The regular expression of --series_pattern as an input of a task.
def seriesPattern(settings) {
    return settings.series_pattern ? shellQuote(settings.series_pattern) : ''
}

// What was scanned, for the index: the phantom's description, and whether one mask serves all series.
def scannedPhantom(Map settings) {
    return [phantomFile(settings), settings.mask != null]
}

workflow INDEX_PARTS {
    take:
    settings    // map of parameters
    contents    // contents.json of each part
    roots       // channel of one list of folders, or [] where they are gone
    contained   // digest of what lies in them: contents say nothing of pixels, by which copies are told from other versions

    main:
    MERGE_INDEX(contents.toSortedList { a, b -> a.toString() <=> b.toString() }, roots, seriesPattern(settings), settings.strict, scannedPhantom(settings), [codeDigest('merge_index.py'), contained])

    emit:
    index = MERGE_INDEX.out.index       // folder: series.csv, quarantine.csv, files.parquet, inputs.csv
}

workflow INDEX {
    take:
    settings    // map of parameters
    roots       // channel of one list of folders

    main:
    def pattern = seriesPattern(settings)
    def found
    if (settings.index) {
        found = channel.value(file(settings.index))
    }
    else if (settings.input && settings.in_parts) {
        // a channel of one list has but one task; a value serves all parts
        def parts = folderParts(file(settings.input))
        INDEX_SERIES(roots.first(), pattern, false, channel.fromList(parts), scannedPhantom(settings), codeDigest('index_series.py'))
        INDEX_PARTS(settings, INDEX_SERIES.out.index.map { folder -> folder.resolve('contents.json') }, roots, parts.collect { _entries, _n, own -> own }.join('\n').digest('SHA-256'))
        found = INDEX_PARTS.out.index
    }
    else {
        // what a task of this run made is known by the task
        def found_there = settings.input ? [[]] + survey(file(settings.input)) : roots.map { folders ->
            settings.download ? [[]] + survey(folders[0]) : [[], folders.collect { folder -> survey(folder)[0] }.sum(), '']
        }
        INDEX_SERIES(roots, pattern, settings.strict, found_there, scannedPhantom(settings), codeDigest('index_series.py'))
        found = INDEX_SERIES.out.index
    }

    emit:
    index = found       // folder: series.csv, quarantine.csv, files.parquet, inputs.csv
}
