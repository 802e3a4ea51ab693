// The twin in parts, a scanner each: simulated, indexed, registered and dropped in one task, so that no more DICOM lies on
// the disk than that of the tasks under way. What follows is as of a whole input.

include { TAKE_SERIES       } from '../../modules/take_series/main'
include { rowsOf            } from '../utilities/channels'
include { codeDigest        } from '../utilities/code'
include { shellQuote        } from '../utilities/files'
include { scannerTables     } from '../utilities/twin'
include { twinChoice        } from '../utilities/twin'

// A scanner is a part. Those that compress their images take longest and come first (the UIDs of JPEG 2000 and JPEG-LS sort
// behind the others), so that no long task is left alone at the end.
def partsOf(settings) {
    def syntax = rowsOf(file("${projectDir}/assets/twin/scanners.csv")).collectEntries { row -> [row.scanner, row.transfer_syntax_uid] }
    return settings.twin_scanners.toString().tokenize(',').toUnique().toSorted { a, b -> syntax[b] <=> syntax[a] ?: a <=> b }
}

workflow TAKE {
    take:
    settings    // map of parameters
    phantom     // value channel: folder
    reference   // value channel: folder

    main:
    def options = [
        series_pattern: settings.series_pattern ? shellQuote(settings.series_pattern) : '',
        mode: settings.mode, interpolator: settings.interpolator ?: '', short_series: settings.short_series,
        nifti: settings.publish_volumes, dicom: settings.publish_dicom,
    ]
    TAKE_SERIES(
        channel.fromList(partsOf(settings).collect { name -> [[name]] }).combine(phantom),
        scannerTables(), twinChoice(settings), reference, options,
        [codeDigest('simulate_series.py'), codeDigest('take_series.py')],
    )

    emit:
    contents = TAKE_SERIES.out.parts.map { contents, _transforms, _rows, _volumes -> contents }                // contents.json of each part
    registered = TAKE_SERIES.out.parts.map { _contents, transforms, rows, volumes -> [transforms, rows, [volumes].flatten()] }     // [transforms.csv, registered.csv, [<series_uid>.b2nd, ...]]
    profile = TAKE_SERIES.out.profile       // rows of series as scanned
    truth = TAKE_SERIES.out.truth.collectFile(name: 'truth.csv', keepHeader: true, sort: { part -> part.name })
}
