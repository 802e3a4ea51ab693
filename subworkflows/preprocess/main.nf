// From indexed series to volumes on the reference's grid, and the patches that all of them share.

include { SELECT_REFERENCE                      } from '../../modules/select_reference/main'
include { SELECT_REFERENCE as CONFIRM_REFERENCE } from '../../modules/select_reference/main'
include { PREPARE_REFERENCE                     } from '../../modules/prepare_reference/main'
include { DRAW_PATCHES                          } from '../../modules/draw_patches/main'
include { REGISTER_SERIES                       } from '../../modules/register_series/main'
include { MERGE_REGISTRATION                    } from '../../modules/merge_registration/main'
include { chunkSize                             } from '../utilities/channels'
include { chunksOf                              } from '../utilities/channels'
include { rowsOf                                } from '../utilities/channels'
include { codeDigest                            } from '../utilities/code'
include { fingerprints                          } from '../utilities/files'
include { folderOf                              } from '../utilities/files'
include { phantomFile                           } from '../utilities/files'
include { shellQuote                            } from '../utilities/files'

// What there is to warn of: regions that hold less than half of their patches' voxels, as the report says, too.
def smallRegions(rows) {
    return rows.findAll { row -> row.share_inside }.groupBy { row -> row.roi }
        .collectEntries { roi, own -> [roi, own.sum { row -> row.share_inside as Double } / own.size()] }
        .findAll { _roi, share -> share < 0.5 }
        .collect { roi, share -> "${roi} is smaller than half of its patches, of whose voxels ${Math.round(100 * share)} % lie in it: its features are of what is round it for the most part. Smaller voxels by --spacing, --region both (whole regions) or centres of your own by --patches help" }
}

// The reference of a run: chosen in the index, cut to what anything reads, and the patches drawn in it.
workflow REFERENCE {
    take:
    settings    // map of parameters
    roots       // channel of one list of folders
    index       // value channel: the index's folder
    domain      // the factor of which the index must have two values, or '' where it is of the reference alone
    prints      // map: digests of the folders that were looked at

    main:
    SELECT_REFERENCE(index, [], shellQuote(settings.reference), domain, settings.feature_doses, codeDigest('select_reference.py'))
    def chosen = SELECT_REFERENCE.out.choice
        .splitCsv(header: true, quote: '"')
        .toList()
        .filter { rows -> !rows.isEmpty() }
        .map { rows -> [rows] }
        .combine(roots.map { folders -> [folders] })
        .map { rows, own_roots ->
            def folders = rows.collect { row -> folderOf("${row.root}/${row.folder}".toString(), own_roots) }
            [rows[0].series_uid, folders, fingerprints(folders, prints)]
        }
    PREPARE_REFERENCE(chosen, index, settings.spacing ?: '', settings.box_origin_mm ?: '', settings.mode, settings.interpolator ?: '', [phantomFile(settings), settings.mask ? file(settings.mask) : []], codeDigest('prepare_reference.py'))
    def prepared = PREPARE_REFERENCE.out.reference.first()

    def centres = settings.patches ? file(settings.patches) : []
    DRAW_PATCHES(prepared, centres, settings.patches_per_roi, settings.seed, settings.publish_volumes, codeDigest('draw_patches.py'))
    if (settings.phantom) {
        DRAW_PATCHES.out.patches.subscribe { table -> smallRegions(rowsOf(table)).each { words -> log.warn(words) } }
    }

    emit:
    reference = prepared                    // folder
    choice = SELECT_REFERENCE.out.choice     // series_uid, root, folder
    patches = DRAW_PATCHES.out.patches      // patches.csv
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

    REFERENCE(settings, roots, index, settings.domain, prints)
    def prepared = REFERENCE.out.reference

    // a task takes a chunk of one scanner's series
    def planned = index
        .flatMap { folder -> chunksOf(folder, chunkSize(settings)) }
        .combine(places)
        .map { id, rows, own_roots ->
            def folders = rows.collectMany { row -> row.folders.tokenize(';') }.toUnique().toSorted().collect { place -> folderOf(place, own_roots) }
            [[id: id, uids: rows.collect { row -> row.series_uid }], folders, fingerprints(folders, prints)]
        }
    REGISTER_SERIES(planned, index, prepared, settings.mode, settings.interpolator ?: '', settings.short_series, settings.publish_volumes, codeDigest('register_series.py'))
    MERGE_REGISTRATION(
        index,
        REGISTER_SERIES.out.transforms.toSortedList { a, b -> a.toString() <=> b.toString() },
        settings.strict,
        codeDigest('merge_registration.py'),
    )

    emit:
    reference = prepared                                    // folder
    patches = REFERENCE.out.patches                         // patches.csv
    chunks = REGISTER_SERIES.out.chunks                     // [meta(id, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    registered = MERGE_REGISTRATION.out.registered          // registered.csv of all chunks
    quarantine = MERGE_REGISTRATION.out.quarantine          // quarantine.csv
    transforms = MERGE_REGISTRATION.out.transforms          // transforms.csv
}

// What PREPROCESS gives, of parts that were registered before the index of all was there.
workflow PREPROCESS_PARTS {
    take:
    settings    // map of parameters
    parts       // [transforms.csv of the part, its registered.csv, [<series_uid>.b2nd, ...]]
    index       // value channel: the index's folder
    choice      // the reference that they were registered to, as SELECT_REFERENCE names it

    main:
    CONFIRM_REFERENCE(index, choice, shellQuote(settings.reference), settings.domain, settings.feature_doses, codeDigest('select_reference.py'))
    MERGE_REGISTRATION(
        index,
        parts.map { transforms, _rows, _volumes -> transforms }.toSortedList { a, b -> a.toString() <=> b.toString() },
        settings.strict,
        codeDigest('merge_registration.py'),
    )
    // a part is a chunk, by the index of all; one whose series were all set aside is waited for, too
    def taken = parts
        .map { transforms, rows, volumes -> [rowsOf(transforms).collect { row -> row.series_uid }, rows, volumes] }
        .combine(index.map { folder -> [chunksOf(folder, chunkSize(settings))] })
        .map { uids, rows, volumes, all ->
            def found = all.findAll { _id, members -> members.any { row -> row.series_uid in uids } }
            if (found.size() > 1 || found.any { _id, members -> members.any { row -> !(row.series_uid in uids) } }) {
                error("the series ${uids[0]} and those that came with it are of another scanner, dose or reconstruction by their descriptions than by --download_table; correct its columns")
            }
            [found ? found[0] : null, rows, volumes]
        }
        .filter { chunk, _rows, _volumes -> chunk }
        .map { chunk, rows, volumes -> [[id: chunk[0], uids: chunk[1].collect { row -> row.series_uid }], rows, volumes] }

    emit:
    chunks = taken                                          // [meta(id, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    registered = MERGE_REGISTRATION.out.registered          // registered.csv of all chunks
    quarantine = MERGE_REGISTRATION.out.quarantine          // quarantine.csv
    transforms = MERGE_REGISTRATION.out.transforms          // transforms.csv
}
