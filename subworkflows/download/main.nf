// The collection from where it is published, verified; what is missing ends the run, with the reason of each.

include { PLAN_DOWNLOAD     } from '../../modules/plan_download/main'
include { DOWNLOAD_SERIES   } from '../../modules/download_series/main'
include { MERGE_DOWNLOAD    } from '../../modules/merge_download/main'
include { codeDigest        } from '../utilities/code'
include { requestsAtOnce    } from '../utilities/download'
include { saidOf            } from '../utilities/download'

workflow DOWNLOAD {
    take:
    settings    // map of parameters

    main:
    def outdir = file(settings.outdir).toAbsolutePath()
    def parallel = requestsAtOnce(settings)
    def choice = settings.subMap(['doses', 'scanners', 'reconstructions', 'repetitions']) +
        [source: settings.download, parallel: parallel, alone: !settings.download_only, part_size: 4 * settings.chunk_size]
    PLAN_DOWNLOAD(file(settings.download_table ?: "${projectDir}/assets/idc_series.csv"), outdir, choice, codeDigest('plan_download.py'))
    PLAN_DOWNLOAD.out.announcement.subscribe { text -> println(text.text.trim()) }

    def certificates = System.getenv('SSL_CERT_FILE')
    def how = [
        source: settings.download,
        endpoint: settings["${settings.download}_endpoint".toString()],
        parallel: parallel,
        timeout: settings.download_timeout,
        retries: settings.download_retries,
    ]
    // a part follows when the announcement was said
    def parts = PLAN_DOWNLOAD.out.parts.map { found -> [[found].flatten().toSorted { a, b -> a.name <=> b.name }] }
    DOWNLOAD_SERIES(parts.flatten(), outdir, certificates ? file(certificates) : [], how, codeDigest('download_series.py'))
    def since = System.currentTimeMillis()
    def done = java.util.Collections.synchronizedList([])
    DOWNLOAD_SERIES.out.missing
        .combine(parts)
        .subscribe { part, missing, all ->
            done << [part, missing]
            println(saidOf(done, all, since))
        }
    MERGE_DOWNLOAD(
        PLAN_DOWNLOAD.out.manifest,
        DOWNLOAD_SERIES.out.missing.map { _part, missing -> missing }.toSortedList { a, b -> a.name <=> b.name },
        outdir, codeDigest('merge_download.py'),
    )

    emit:
    roots = MERGE_DOWNLOAD.out.series.map { _table -> [outdir.resolve('dicom')] }       // [folder of all series]
    series = MERGE_DOWNLOAD.out.series      // series.csv
}
