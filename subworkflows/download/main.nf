// The collection from where it is published, verified; what is missing ends the run, with the reason of each.

include { PLAN_DOWNLOAD                         } from '../../modules/plan_download/main'
include { PLAN_DOWNLOAD as PLAN_STREAM          } from '../../modules/plan_download/main'
include { DOWNLOAD_SERIES                       } from '../../modules/download_series/main'
include { DOWNLOAD_SERIES as DOWNLOAD_REFERENCE } from '../../modules/download_series/main'
include { MERGE_DOWNLOAD                        } from '../../modules/merge_download/main'
include { MERGE_DOWNLOAD as MERGE_REFERENCE     } from '../../modules/merge_download/main'
include { MERGE_DOWNLOAD as MERGE_STREAM        } from '../../modules/merge_download/main'
include { STREAM_SERIES                         } from '../../modules/stream_series/main'
include { codeDigest                            } from '../utilities/code'
include { shellQuote                            } from '../utilities/files'
include { downloadTable                         } from '../utilities/download'
include { partsAtOnce                           } from '../utilities/download'
include { requestsAtOnce                        } from '../utilities/download'
include { saidOf                                } from '../utilities/download'

// What the tasks of a download are told of the source.
def howToFetch(settings, int parallel) {
    return [
        source: settings.download,
        endpoint: settings["${settings.download}_endpoint".toString()],
        parallel: parallel,
        timeout: settings.download_timeout,
        retries: settings.download_retries,
    ]
}

def certificates() {
    def place = System.getenv('SSL_CERT_FILE')
    return place ? file(place) : []
}

def choiceOf(settings) {
    return settings.subMap(['doses', 'scanners', 'reconstructions', 'repetitions', 'idc_endpoint', 'tcia_endpoint']) + [source: settings.download, parallel: requestsAtOnce(settings)]
}

// Say after each task how far it is: [part, table of series of which lost are counted, or []] as they end, and all parts.
def sayProgress(ended, parts) {
    def since = System.currentTimeMillis()
    def done = java.util.Collections.synchronizedList([])
    ended.combine(parts).subscribe { part, missing, all ->
        done << [part, missing]
        println(saidOf(done, all, since))
    }
}

workflow DOWNLOAD {
    take:
    settings    // map of parameters

    main:
    def outdir = file(settings.outdir).toAbsolutePath()
    def choice = choiceOf(settings) + [alone: !settings.download_only, part_size: 4 * settings.chunk_size]
    PLAN_DOWNLOAD(downloadTable(settings), outdir, choice, codeDigest('plan_download.py'))
    PLAN_DOWNLOAD.out.announcement.subscribe { text -> println(text.text.trim()) }

    // a part follows when the announcement was said
    def parts = PLAN_DOWNLOAD.out.parts.map { found -> [[found].flatten().toSorted { a, b -> a.name <=> b.name }] }
    DOWNLOAD_SERIES(parts.flatten(), outdir, certificates(), howToFetch(settings, requestsAtOnce(settings)), codeDigest('download_series.py'))
    sayProgress(DOWNLOAD_SERIES.out.missing, parts)
    MERGE_DOWNLOAD(
        PLAN_DOWNLOAD.out.manifest,
        DOWNLOAD_SERIES.out.missing.map { _part, missing -> missing }.toSortedList { a, b -> a.name <=> b.name },
        [], false, outdir, codeDigest('merge_download.py'),
    )

    emit:
    roots = MERGE_DOWNLOAD.out.series.map { _table -> [outdir.resolve('dicom')] }       // [folder of all series]
    series = MERGE_DOWNLOAD.out.series      // series.csv
}

// What a download that streams begins with: its plan, and the series that all others are registered to, which stays.
workflow STREAM_FIRST {
    take:
    settings    // map of parameters
    copies      // volumes that the run keeps of each series

    main:
    def outdir = file(settings.outdir).toAbsolutePath()
    def choice = choiceOf(settings) + settings.subMap(['max_disk', 'reference', 'domain', 'feature_doses']) + [alone: false, part_size: 1, at_once: partsAtOnce(settings), copies: copies]
    PLAN_STREAM(downloadTable(settings), outdir, choice, codeDigest('plan_download.py'))
    PLAN_STREAM.out.announcement.subscribe { text -> println(text.text.trim()) }

    def folder = outdir.resolve('download/reference')
    DOWNLOAD_REFERENCE(PLAN_STREAM.out.reference, folder, certificates(), howToFetch(settings, requestsAtOnce(settings)), codeDigest('download_series.py'))
    MERGE_REFERENCE(
        PLAN_STREAM.out.reference, DOWNLOAD_REFERENCE.out.missing.map { _part, missing -> missing },
        [], false, folder, codeDigest('merge_download.py'),
    )

    emit:
    roots = MERGE_REFERENCE.out.series.map { _table -> [folder.resolve('dicom')] }      // [folder of the reference's series]
    manifest = PLAN_STREAM.out.manifest     // manifest.csv
    parts = PLAN_STREAM.out.parts.map { found -> [found].flatten().toSorted { a, b -> a.name <=> b.name } }     // [table of the series of a part, ...]
    room = PLAN_STREAM.out.room             // room.csv
}

// A part for the repetitions of a scanner, dose and reconstruction: fetched, indexed, registered and deleted in one task.
workflow STREAM {
    take:
    settings    // map of parameters
    copies      // volumes that the run keeps of each series
    manifest    // value channel: manifest.csv
    parts       // value channel: [table of the series of a part, ...]
    room        // value channel: room.csv
    reference   // value channel: folder

    main:
    def outdir = file(settings.outdir).toAbsolutePath()
    // what the plan estimated is known when the reference is on its grid
    def fitting = reference.combine(room).map { folder, table ->
        def (n, most) = table.splitCsv(header: true).collectMany { row -> [row.n_series as long, row.n_bytes as long] }
        def size = copies * folder.resolve('volume.b2nd').size()
        if (n * size > most) {
            error("the volumes of ${n} series take ${Math.round(n * size / 1e6)} MB, and within --max_disk ${settings.max_disk} there are ${Math.round(most / 1e6)} MB for them; ask for fewer series, or give more")
        }
        folder
    }.first()
    def options = [
        series_pattern: settings.series_pattern ? shellQuote(settings.series_pattern) : '',
        mode: settings.mode, interpolator: settings.interpolator ?: '', short_series: settings.short_series,
        strict: settings.strict, nifti: settings.publish_volumes,
    ]
    def requests = Math.max(1, requestsAtOnce(settings).intdiv(partsAtOnce(settings)))
    STREAM_SERIES(
        parts.flatten().map { part -> [part, outdir.resolve("download/stream/${part.baseName}".toString())] }, certificates(), fitting,
        howToFetch(settings, requests), options, codeDigest('stream_series.py'),
    )
    sayProgress(STREAM_SERIES.out.series.map { part, _series -> [part, []] }, parts.map { all -> [all] })
    MERGE_STREAM(manifest, [], STREAM_SERIES.out.series.map { _part, series -> series }.toSortedList { a, b -> a.toString() <=> b.toString() }, true, outdir, codeDigest('merge_download.py'))

    emit:
    // what is merged waits for all, and for none to be missing
    contents = STREAM_SERIES.out.parts.combine(MERGE_STREAM.out.series).map { contents, _transforms, _rows, _volumes, _all -> contents }      // contents.json of each part
    registered = STREAM_SERIES.out.parts.map { _contents, transforms, rows, volumes -> [transforms, rows, [volumes].flatten()] }     // [transforms.csv, registered.csv, [<series_uid>.b2nd, ...]]
    profile = STREAM_SERIES.out.profile     // rows of series as scanned
}
