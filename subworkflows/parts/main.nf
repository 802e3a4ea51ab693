// The twin in parts, a scanner each: simulated, indexed, registered and dropped in one task, so that no more DICOM lies on
// the disk than that of the tasks under way. What follows is as of a whole input.

include { TAKE_SERIES       } from '../../modules/take_series/main'
include { rowsOf            } from '../utilities/channels'
include { codeDigest        } from '../utilities/code'
include { shellQuote        } from '../utilities/files'
include { scannerTables     } from '../utilities/twin'
include { twinChoice        } from '../utilities/twin'
include { twinSeries        } from '../utilities/twin'

// A scanner is a part. One of JPEG 2000 takes six times as long as others and comes first, so that it is not left alone at
// the end. Volumes gather on the disk, so those with the most DICOM come next, and those of JPEG-LS, which has half, last.
def partsOf(settings) {
    def series = twinSeries(settings).groupBy { row -> row.scanner }
    def weights = rowsOf(file("${projectDir}/assets/twin/scanners.csv")).collectEntries { row ->
        def slices = (row.n_slices as int) * series.getOrDefault(row.scanner, []).sum(0) { some -> some.repetitions }
        def weight = row.transfer_syntax_uid == '1.2.840.10008.1.2.4.90' ? 1e9 : row.transfer_syntax_uid == '1.2.840.10008.1.2.4.80' ? slices / 2 : slices
        [row.scanner, weight as BigDecimal]
    }
    return settings.twin_scanners.toString().tokenize(',').toUnique().toSorted { a, b -> weights[b] <=> weights[a] ?: a <=> b }
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
        strict: settings.strict, nifti: settings.publish_volumes, dicom: settings.publish_dicom,
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
