// From indexed series to volumes on the reference's grid, and the patches that all of them share.

include { SELECT_REFERENCE      } from '../../modules/select_reference/main'
include { PREPARE_REFERENCE     } from '../../modules/prepare_reference/main'
include { DRAW_PATCHES          } from '../../modules/draw_patches/main'
include { REGISTER_SERIES       } from '../../modules/register_series/main'
include { MERGE_REGISTRATION    } from '../../modules/merge_registration/main'
include { codeDigest            } from '../utilities/code'
include { fingerprint           } from '../utilities/files'
include { shellQuote            } from '../utilities/files'

// 'root/folder' of the index -> the folder itself; `roots` are the roots' own paths
def folderOf(String place, roots) {
    def name = place.tokenize('/')[0]
    def root = roots.find { folder -> folder.name == name }
    if (!root) {
        error("--index is of a folder ${name}, which is not among this run's input (${roots.collect { folder -> folder.name }.join(', ')}); name the index of the same input, or leave --index out")
    }
    def rest = place.substring(name.size()).replaceAll('^/+', '')
    return rest ? root.resolve(rest) : root
}

// series of one dose and reconstruction stand together, so that the chunks of a dose are few
def inOrder(row) {
    return String.format('%010.3f %-10s %06d %s', row.dose_mgy as Double, row.recon, row.repetition as Integer, row.series_uid)
}

// one digest over several folders, each looked at once in a run
def fingerprints(folders, seen) {
    return folders.collect { folder -> seen.computeIfAbsent(folder, { place -> fingerprint(place) }) }.join(' ').digest('SHA-256')
}

workflow PREPROCESS {
    take:
    settings    // map of parameters
    roots       // channel of one list of folders
    index       // value channel: the index's folder

    main:
    // wrapped, so that combine() takes a list as one item
    def places = roots.map { folders -> [folders] }
    def prints = new java.util.concurrent.ConcurrentHashMap()

    SELECT_REFERENCE(index, shellQuote(settings.reference), settings.domain, settings.feature_doses, codeDigest('select_reference.py'))
    def chosen = SELECT_REFERENCE.out.choice
        .splitCsv(header: true)
        .toList()
        .filter { rows -> !rows.isEmpty() }
        .map { rows -> [rows] }
        .combine(places)
        .map { rows, own_roots ->
            def folders = rows.collect { row -> folderOf("${row.root}/${row.folder}".toString(), own_roots) }
            [rows[0].series_uid, folders, fingerprints(folders, prints)]
        }
    PREPARE_REFERENCE(chosen, index, settings.spacing ?: '', settings.box_origin_mm ?: '', codeDigest('prepare_reference.py'))
    def prepared = PREPARE_REFERENCE.out.reference.first()

    def centres = settings.patches ? file(settings.patches) : []
    DRAW_PATCHES(prepared, centres, settings.patches_per_roi, settings.seed, codeDigest('draw_patches.py'))

    // a task takes a chunk of one scanner's series
    def chunks = index
        .flatMap { folder -> folder.resolve('inputs.csv').splitCsv(header: true) }
        .map { row -> [row.scanner, row] }
        .groupTuple(sort: { a, b -> inOrder(a) <=> inOrder(b) })
        .flatMap { scanner, rows ->
            rows.collate(settings.chunk_size).withIndex().collect { part, number -> [scanner, number, part] }
        }
        .combine(places)
        .map { scanner, number, part, own_roots ->
            def folders = part.collectMany { row -> row.folders.tokenize(';') }.toUnique().toSorted().collect { place -> folderOf(place, own_roots) }
            def id = "${scanner.replaceAll('[^A-Za-z0-9_.-]', '_')}_${number}".toString()
            [[id: id, uids: part.collect { row -> row.series_uid }], folders, fingerprints(folders, prints)]
        }
    REGISTER_SERIES(chunks, index, prepared, settings.interpolator, settings.short_series, settings.publish_volumes, codeDigest('register_series.py'))
    MERGE_REGISTRATION(
        index,
        REGISTER_SERIES.out.transforms.toSortedList { a, b -> a.toString() <=> b.toString() },
        settings.strict,
        codeDigest('merge_registration.py'),
    )

    emit:
    reference = prepared                                    // folder
    patches = DRAW_PATCHES.out.patches            // patches.csv
    volumes = REGISTER_SERIES.out.volumes                   // [meta(id, uids), [<series_uid>.b2nd, ...]]
    registered = MERGE_REGISTRATION.out.registered  // registered.csv
    quarantine = MERGE_REGISTRATION.out.quarantine          // quarantine.csv
    transforms = MERGE_REGISTRATION.out.transforms          // transforms.csv
}
