// Methods that map volumes: series through each of them, scanner by scanner, or volumes that were harmonized elsewhere.

include { PLAN_VOLUMES      } from '../../modules/plan_volumes/main'
include { HARMONIZE_VOLUMES } from '../../modules/harmonize_volumes/main'
include { READ_VOLUMES      } from '../../modules/read_volumes/main'
include { byMethod          } from '../utilities/channels'
include { packed            } from '../utilities/channels'
include { rowsOf            } from '../utilities/channels'
include { volumesByMethod   } from '../utilities/channels'
include { codeDigest        } from '../utilities/code'
include { fingerprint       } from '../utilities/files'
include { isPooledOfImages  } from '../utilities/methods'
include { methodDigest      } from '../utilities/methods'

// The series that a chunk of one scanner is mapped by: nothing, or the reference series, which is fixed, and the untested
// scans of its own and of the reference's scanner, of a method that is given a number of them so many.
def fitOf(Map method, List fits, String scanner, String reference, String series) {
    if (method.learns == 'nothing') {
        return []
    }
    def most = method.adaptation in [null, 'half'] ? Integer.MAX_VALUE : method.adaptation as int
    return ([series] + fits.findAll { row -> row.scanner in [scanner, reference] && (row.place as int) < most }.collect { row -> row.series_uid }).toUnique()
}

// What is wrong with the volumes that were harmonized elsewhere as soon as the series of the run are known, or null: a
// folder that has none of them. Of which series there must be a volume registration decides, so some that lack are said alone.
def strangeVolumes(List chosen, index) {
    def brought = chosen.findAll { method -> method.volumes }
    def uids = brought ? rowsOf(index.resolve('inputs.csv')).collect { row -> row.series_uid } : []
    return brought.findResult { method ->
        def there = method.volumes.list().collect { name -> name.replaceAll(/\.nii(\.gz)?$/, '') }
        def lacking = uids.findAll { uid -> !(uid in there) }
        if (lacking && lacking.size() < uids.size()) {
            log.warn("--harmonized_volumes ${method.name}=${method.volumes} has no volume of ${lacking.size()} of the ${uids.size()} series of this run (the first is ${lacking.min()}); if registration keeps ${lacking.size() == 1 ? 'it' : 'one of them'}, the run ends without results, when the volumes are read: add what is missing, and run again with -resume")
        }
        uids && !there.any { name -> name in uids }
            ? "--harmonized_volumes ${method.name}=${method.volumes} has none of the ${uids.size()} series of this run (the first is ${uids.min()}; there is ${there.min()}); name each volume by its series UID: <series UID>.nii.gz, or a folder of DICOM slices"
            : null
    }
}

// The fits of a plan of folds: [[number, series to learn from, those and the others to map], ...]; number 0 is of all.
def fitsOf(List rows) {
    return rows.groupBy { row -> row.number as int }.toSorted { a, b -> a.key <=> b.key }.collect { number, own ->
        [number, own.findAll { row -> row.role == 'fit' }.collect { row -> row.series_uid }.toUnique().toSorted(), own.collect { row -> row.series_uid }.toUnique().toSorted()]
    }
}

// `parts`: [[uids: series to map, fit: series to learn from], ...], each of which the method has to itself
def taskOf(Map method, String id, List parts) {
    return [method: method.name, id: id, parts: parts, shipped: method.shipped, image: method.image, max_minutes: method.max_minutes, max_gb: method.max_gb]
}

// All series of a task, those to learn from, too.
def seriesOf(List parts) {
    return parts.collectMany { part -> part.uids + part.fit }.toUnique()
}

workflow HARMONIZE_IMAGES {
    take:
    settings    // map of parameters
    chosen      // list of methods, as chosenMethods() gives them
    chunks      // [meta(id, method, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]] of the method that does nothing
    registered  // value channel: registered.csv
    reference   // value channel: folder

    main:
    PLAN_VOLUMES(registered, settings.feature_doses, settings.domain, settings.mode, settings.seed, codeDigest('plan_volumes.py'))
    def volumes = volumesByMethod(chunks).map { _method, paths -> [paths] }.first()
    def told = PLAN_VOLUMES.out.fits.map { table -> [rowsOf(table)] }
    def ofReference = registered.combine(reference).map { table, folder ->
        def text = folder.resolve('reference.json').text.trim()     // none in a stub
        def uid = text ? new groovy.json.JsonSlurper().parseText(text).series_uid : null
        [rowsOf(table).find { row -> row.series_uid == uid }?.scanner ?: '', uid ?: '']
    }
    def wanted = chosen.findAll { method -> method.level == 'image' }.collect { method -> method + [digest: methodDigest(method.folder)] }
    // what learns nothing, or from its own domain and the reference, is the same in every fold; a method has the series of a scanner to itself
    def tasks = chunks.filter { _meta, _table, paths -> paths }
        .map { meta, table, paths -> [id: meta.id, scanner: rowsOf(table)[0].scanner, uids: [paths].flatten().collect { path -> path.baseName }] }
        .toSortedList { a, b -> a.id <=> b.id }
        .flatMap { found -> packed(found, 4 * settings.chunk_size) { chunk -> chunk.uids.size() } }
        .map { found -> [found] }
    def once = tasks
        .combine(channel.fromList(wanted.findAll { method -> !isPooledOfImages(method) })).combine(told).combine(ofReference).combine(volumes)
        .map { found, method, fits, scanner, series, all ->
            def parts = found.collect { chunk -> [uids: chunk.uids, fit: fitOf(method, fits, chunk.scanner, scanner, series).findAll { uid -> all[uid] }] }
            [taskOf(method, found.size() > 1 ? "${found[0].id} to ${found.last().id}".toString() : found[0].id, parts), seriesOf(parts).collect { uid -> all[uid] }, method.folder, method.digest]
        }
    // what learns from all scanners is fitted on all, and in each fold on what it trains on, one fit a task
    def anew = PLAN_VOLUMES.out.folds.flatMap { table -> fitsOf(rowsOf(table)) }
        .combine(channel.fromList(wanted.findAll { method -> isPooledOfImages(method) })).combine(volumes)
        .map { number, fit, uids, method, all ->
            [taskOf(method, "fit ${number}".toString(), [[uids: uids, fit: fit]]) + [number: number], uids.collect { uid -> all[uid] }, method.folder, method.digest]
        }
    HARMONIZE_VOLUMES(
        once.mix(anew),
        registered, reference, settings.harmonize_by, settings.seed, settings.publish_volumes, codeDigest('harmonize_volumes.py'),
    )
    def mapped = HARMONIZE_VOLUMES.out.volumes.branch { meta, _paths, _outcome ->
        of_fold: meta.number
        whole: true
    }
    // a method of which a task has no volumes has none
    def found = byMethod(mapped.whole.map { meta, paths, outcome -> [meta.method, [meta.id, [paths].flatten(), outcome]] }, null)
    READ_VOLUMES(
        channel.fromList(chosen.findAll { method -> method.volumes }).combine(volumes)
            .map { method, all -> [[method: method.name, brought: "${method.name}=${method.volumes}".toString(), uids: all.keySet().toSorted()], method.volumes, all.toSorted { a, b -> a.key <=> b.key }.collect { _uid, path -> path }, fingerprint(method.volumes)] },
        codeDigest('read_volumes.py'),
    )
    def whole = found.filter { _method, _ids, paths, _outcomes -> paths.every { list -> list } }
        .map { method, _ids, paths, _outcomes -> [method, paths.flatten()] }
        .mix(READ_VOLUMES.out.volumes.map { meta, paths -> [meta.method, [paths].flatten()] })
        .map { method, paths -> [method, paths.collectEntries { path -> [path.baseName, path] }] }

    emit:
    // [meta(id, method, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    chunks = chunks.combine(whole).map { meta, table, paths, method, own -> [meta + [method: method], table, [paths].flatten().collect { path -> own[path.baseName] }] }
    // [method, harmonization.csv]: of the first task without volumes, or of the first
    outcomes = found.map { method, _ids, paths, outcomes -> [method, outcomes[Math.max(0, paths.findIndexOf { list -> !list })]] }
    // [meta(method, id, number, uids), [<series_uid>.b2nd, ...] or none, harmonization.csv] of methods that learn from all
    // scanners; of the fit on all (number 0), which is there where a run has no fold, the outcome alone
    folds = mapped.of_fold.mix(mapped.whole.filter { meta, _paths, _outcome -> meta.number == 0 }.map { meta, _paths, outcome -> [meta, [], outcome] })
        .map { meta, paths, outcome -> [meta.subMap('method', 'id', 'number') + [uids: meta.parts[0].uids], paths, outcome] }
    plan = PLAN_VOLUMES.out.folds   // folds.csv
}
