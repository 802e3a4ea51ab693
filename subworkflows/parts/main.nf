// The twin in parts, a scanner each: simulated, indexed, registered and dropped in one task, so that no more DICOM lies on
// the disk than that of the tasks under way. What follows is as of a whole input.

include { INDEX_SERIES as INDEX_REFERENCE           } from '../../modules/index_series/main'
include { MERGE_INDEX                               } from '../../modules/merge_index/main'
include { MERGE_REGISTRATION                        } from '../../modules/merge_registration/main'
include { SELECT_REFERENCE as CONFIRM_REFERENCE     } from '../../modules/select_reference/main'
include { SIMULATE_SERIES as SIMULATE_REFERENCE     } from '../../modules/simulate_series/main'
include { TAKE_SERIES                               } from '../../modules/take_series/main'
include { PHANTOM                                   } from '../input/main'
include { scannerTables                             } from '../input/main'
include { twinChoice                                } from '../input/main'
include { REFERENCE                                 } from '../preprocess/main'
include { chunkSize                                 } from '../utilities/channels'
include { rowsOf                                    } from '../utilities/channels'
include { chunksOf                                  } from '../utilities/channels'
include { codeDigest                                } from '../utilities/code'
include { shellQuote                                } from '../utilities/files'

// Scanner and options of simulate_series.py of the one series that the others are registered to: one of the run's own,
// since a run that cannot find it in the index of all would say so only when all is simulated.
def referenceChoice(settings) {
    def named = settings.reference =~ /(?i)^\s*([A-H][12])\s+(\d+)\s*mGy\s+(FBP|IR|DL)(?:\s*#\s*(\d+))?\s*$/
    if (!named) {
        error("--in_parts makes the reference before all others, so --reference ${settings.reference} must be as in 'A1 10mGy IR #1'")
    }
    def (_all, scanner, dose, recon, repetition) = named[0].collect { text -> text?.toUpperCase() }
    def n = (repetition ?: '1') as int
    def main = dose == '10'
    def wanted = [
        [settings.twin_scanners, scanner], [settings.twin_doses, dose], [main ? scanner : settings.twin_other_scanners, scanner],
        [main ? settings.twin_reconstructions : settings.twin_other_reconstructions, recon],
    ]
    if (n > (main ? settings.twin_repetitions : settings.twin_other_repetitions) || wanted.any { list, name -> !(name in list.toString().tokenize(',')) }) {
        error("--reference ${settings.reference} is not among the series that this run simulates; name another, or give others by --twin_scanners, --twin_doses, --twin_reconstructions and --twin_repetitions")
    }
    return [scanner, twinChoice(settings) + [doses: dose, reconstructions: recon, repetitions: n, other_reconstructions: recon, other_repetitions: n, other_scanners: scanner, other_series: 'all']]
}

// A scanner is a part. Those that compress their images take longest and come first (the UIDs of JPEG 2000 and JPEG-LS sort
// behind the others), so that no long task is left alone at the end.
def partsOf(settings) {
    def syntax = rowsOf(file("${projectDir}/assets/twin/scanners.csv")).collectEntries { row -> [row.scanner, row.transfer_syntax_uid] }
    return settings.twin_scanners.toString().tokenize(',').toUnique().toSorted { a, b -> syntax[b] <=> syntax[a] ?: a <=> b }
}

workflow TAKE {
    take:
    settings    // map of parameters

    main:
    PHANTOM(settings)
    def phantom = PHANTOM.out.phantom
    def (scanner, own) = referenceChoice(settings)
    SIMULATE_REFERENCE(channel.of([[scanner]]).combine(phantom), scannerTables(), own, codeDigest('simulate_series.py'))
    def places = SIMULATE_REFERENCE.out.dicom.map { folder -> [folder] }
    INDEX_REFERENCE(places, '', false, [[], 400, ''], codeDigest('index_series.py'))
    REFERENCE(settings, places.map { folders -> [folders] }, INDEX_REFERENCE.out.index, '', new java.util.concurrent.ConcurrentHashMap())

    def options = [
        series_pattern: settings.series_pattern ? shellQuote(settings.series_pattern) : '',
        mode: settings.mode, interpolator: settings.interpolator ?: '', short_series: settings.short_series,
        nifti: settings.publish_volumes, dicom: settings.publish_dicom,
    ]
    TAKE_SERIES(
        channel.fromList(partsOf(settings).collect { name -> [[name]] }).combine(phantom),
        scannerTables(), twinChoice(settings), REFERENCE.out.reference, options,
        [codeDigest('simulate_series.py'), codeDigest('take_series.py')],
    )
    MERGE_INDEX(
        TAKE_SERIES.out.parts.map { contents, _transforms, _rows, _volumes -> contents }.toSortedList { a, b -> a.toString() <=> b.toString() },
        [], options.series_pattern, settings.strict, codeDigest('merge_index.py'),
    )
    def merged = MERGE_INDEX.out.index
    CONFIRM_REFERENCE(merged, shellQuote(settings.reference), settings.domain, settings.feature_doses, codeDigest('select_reference.py'))
    MERGE_REGISTRATION(
        merged,
        TAKE_SERIES.out.parts.map { _contents, transforms, _rows, _volumes -> transforms }.toSortedList { a, b -> a.toString() <=> b.toString() },
        settings.strict,
        codeDigest('merge_registration.py'),
    )
    // a part is a chunk, by the index of all; one whose series were all set aside is waited for, too
    def taken = TAKE_SERIES.out.parts
        .map { _contents, transforms, rows, volumes -> [rowsOf(transforms).collect { row -> row.series_uid }, rows, [volumes].flatten()] }
        .combine(merged.map { folder -> [chunksOf(folder, chunkSize(settings))] })
        .map { uids, rows, volumes, all -> [all.find { _id, members -> members.any { row -> row.series_uid in uids } }, rows, volumes] }
        .filter { chunk, _rows, _volumes -> chunk }
        .map { chunk, rows, volumes -> [[id: chunk[0], uids: chunk[1].collect { row -> row.series_uid }], rows, volumes] }

    emit:
    index = merged                                          // folder: series.csv, quarantine.csv, files.parquet, inputs.csv
    reference = REFERENCE.out.reference                     // folder
    patches = REFERENCE.out.patches                         // patches.csv
    chunks = taken                                          // [meta(id, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    registered = MERGE_REGISTRATION.out.registered          // registered.csv of all chunks
    quarantine = MERGE_REGISTRATION.out.quarantine          // quarantine.csv
    transforms = MERGE_REGISTRATION.out.transforms          // transforms.csv
    profile = TAKE_SERIES.out.profile                       // rows of series as scanned
    truth = TAKE_SERIES.out.truth.collectFile(name: 'truth.csv', keepHeader: true, sort: { part -> part.name })
}
