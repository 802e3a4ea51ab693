// What the benchmark measures: image similarity of pairs of series, profiles of scanners; stability, classification and embedding of features.

include { PLAN_PAIRS        } from '../../modules/plan_pairs/main'
include { COMPARE_PAIRS     } from '../../modules/compare_pairs/main'
include { PROFILE_SERIES    } from '../../modules/profile_series/main'
include { MERGE_PROFILES    } from '../../modules/merge_profiles/main'
include { MERGE_PAIRS       } from '../../modules/merge_pairs/main'
include { MEASURE_STABILITY } from '../../modules/measure_stability/main'
include { PLAN_SPLITS       } from '../../modules/plan_splits/main'
include { TRAIN_CLASSIFIERS } from '../../modules/train_classifiers/main'
include { MERGE_PREDICTIONS } from '../../modules/merge_predictions/main'
include { EMBED_FEATURES    } from '../../modules/embed_features/main'
include { byMethod          } from '../utilities/channels'
include { extractorsOf      } from '../utilities/methods'
include { givenInFolds      } from '../utilities/methods'
include { isPooledOfImages  } from '../utilities/methods'
include { methodDigest      } from '../utilities/methods'
include { noMethod          } from '../utilities/methods'
include { ownImage          } from '../utilities/methods'
include { packed            } from '../utilities/channels'
include { rowsOf            } from '../utilities/channels'
include { volumesByMethod   } from '../utilities/channels'
include { codeDigest        } from '../utilities/code'
include { fingerprints      } from '../utilities/files'
include { folderOf          } from '../utilities/files'
include { phantomFile       } from '../utilities/files'
include { isClassified      } from '../utilities/extractors'

// Series in tasks of at most `size`, across scanners; all repetitions of a scanner, dose and reconstruction stay together.
def profileTasks(List rows, int size) {
    def groups = rows.groupBy { row -> String.format('%s %010.3f %s', row.scanner, row.dose_mgy as Double, row.recon) }
        .toSorted { a, b -> a.key <=> b.key }
        .collect { _key, same -> same.collect { row -> row.series_uid }.toSorted() }
    def tasks = packed(groups, size) { uids -> uids.size() }
    return tasks.withIndex().collect { own, number -> [String.format('%04d', number), own.collectMany { uids -> uids }] }
}

// [meta(method, extractor), table] -> [meta(method, extractors), [table, ...]]; `sizes`: how many of each method.
def together(features, Map sizes) {
    return byMethod(features.map { meta, table -> [meta.method, [meta.extractor, table]] }, sizes)
        .map { method, extractors, tables -> [[method: method, extractors: extractors], tables] }
}

// Names of --other_classifiers, from the list that the training reads.
def otherClassifiers(String wanted) {
    def known = rowsOf(file("${projectDir}/bin/ct4bench/learning/other_classifiers.csv")).collect { row -> row.name }
    return wanted == 'all' ? known : known.findAll { name -> name in wanted.tokenize(',') }
}

// Whose rows of features a method has: its own, but where it maps those that are there.
def ownerOfRows(Map method) {
    return method.level in ['feature', 'leaky'] ? noMethod() : method.name
}

// The plan of splits that a method has, with those of its rows, cells and scans of a target: [name, owner of rows, cells, scans].
def planOf(Map method, String cells) {
    // other methods have the trainings that methods are compared by, unless all are asked for
    def found = [ownerOfRows(method), method.name == noMethod() ? 'all' : cells, givenInFolds(method)]
    return [found.findAll { part -> part != null }.join(' ')] + found
}

// Whether a method is fitted in each fold.
def isInFolds(Map method) {
    return method.level == 'feature' || isPooledOfImages(method)
}

workflow EVALUATE_IMAGES {
    take:
    settings    // map of parameters
    chunks      // [meta(id, method, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    registered  // value channel: registered.csv
    reference   // value channel: folder
    index       // value channel: the index's folder
    roots       // channel of one list of folders: the input; of [] where its series were profiled as they were scanned
    own         // channel of their rows, as PROFILE_SERIES makes them

    main:
    PLAN_PAIRS(registered, settings.mode, settings.phantom != null, codeDigest('plan_pairs.py'))
    def plan = PLAN_PAIRS.out.plan
    def tasks = plan.flatMap { table ->
        rowsOf(table)
            .groupBy { row -> row.task }
            .collect { task, rows -> [task, rows.collectMany { row -> [row.series_uid_a, row.series_uid_b] }.toUnique().toSorted()] }
    }
    def byUid = volumesByMethod(chunks)
    COMPARE_PAIRS(
        byUid.combine(tasks).map { method, paths, task, uids -> [[method: method, task: task], uids.collect { uid -> paths[uid] }] },
        plan, reference, codeDigest('compare_pairs.py'),
    )
    def parts = byMethod(COMPARE_PAIRS.out.pairs.map { meta, part -> [meta.method, [meta.task, part]] }, null)
        .map { method, _tasks, tables -> [[method: method], tables] }
    MERGE_PAIRS(parts, codeDigest('merge_pairs.py'))

    // what the images themselves say of their scanners
    def groups = registered.flatMap { table -> profileTasks(rowsOf(table), 4 * settings.chunk_size) }
    // in the images as they were scanned, too, where a method has left them alone
    def prints = new java.util.concurrent.ConcurrentHashMap()
    def scanned = index.combine(roots.map { folders -> [folders] }).map { folder, own_roots ->
        [rowsOf(folder.resolve('inputs.csv')).collectEntries { row -> [row.series_uid, row.folders.tokenize(';')] }, own_roots]
    }
    PROFILE_SERIES(
        byUid.combine(groups).combine(scanned).map { method, paths, id, uids, places, own_roots ->
            def folders = !own_roots || method != noMethod() ? [] : uids.collectMany { uid -> places[uid] }.toUnique().toSorted().collect { place -> folderOf(place, own_roots) }
            [[method: method, id: id, uids: uids], uids.collect { uid -> paths[uid] }, folders, fingerprints(folders, prints)]
        },
        registered, index, reference, codeDigest('profile_series.py'),
    )
    def profiled = byMethod(PROFILE_SERIES.out.profile.map { meta, rows, fields -> [meta.method, [meta.id, rows, fields]] }, null)
        .combine(own.toSortedList { a, b -> a.toString() <=> b.toString() }.map { tables -> [tables] })
        .map { method, _ids, rows, fields, scans -> [method, method == noMethod() ? rows + scans : rows, fields] }
    MERGE_PROFILES(profiled, codeDigest('merge_profiles.py'))

    emit:
    profile = MERGE_PROFILES.out.profile    // [method, scanner_profile.csv, local_displacement.csv, series_profile.parquet]
    pairs = MERGE_PAIRS.out.pairs.map { meta, table -> [meta.method, table] }      // [method, pairs.parquet]
    volumes = byUid                       // [method, map of the volumes by series UID]
}

workflow EVALUATE_FEATURES {
    take:
    settings    // map of parameters
    features    // [meta(method, extractor), table, settings]
    extractors  // list of their names
    patches     // value channel: patches.csv, or [] where the run started from features
    chosen      // list of methods, as chosenMethods() gives them
    folds       // [method, folder of the features of its folds] of methods of images that learn from all scanners

    main:
    def named = chosen.collectEntries { method -> [method.name, method] }
    def rows = features.map { meta, table, _notes -> [meta, table] }
    // all extractors in one task each: starting takes longer than the work
    MEASURE_STABILITY(together(rows, chosen.collectEntries { method -> [method.name, extractorsOf(method, extractors).size()] }), settings.domain, codeDigest('measure_stability.py'))
    def names = settings.features ? extractors : extractors.findAll { name -> isClassified(name) }
    def sizes = chosen.collectEntries { method -> [method.name, extractorsOf(method, names).size()] }
    def classified = together(rows.filter { meta, _table -> meta.method != noMethod() && named[meta.method].tables || meta.extractor in names }, sizes)
    EMBED_FEATURES(classified, settings.seed, phantomFile(settings), codeDigest('embed_features.py'))

    // the rows of all extractors must be the same; the first of them decides the splits
    def planned = chosen.collectEntries { method -> [method.name, planOf(method, settings.method_cells)] }
    PLAN_SPLITS(
        classified.flatMap { meta, tables ->
            planned.values().toUnique { own -> own[0] }.findAll { _plan, owner, _cells, _given -> owner == meta.method }
                .collect { plan, _owner, cells, given -> [plan, tables, cells, given] }
        },
        settings.domain, settings.mode, settings.seed, settings.tasks, settings.ablations,
        patches, settings.share_inside, codeDigest('plan_splits.py'),
    )
    def plans = PLAN_SPLITS.out.splits.flatMap { plan, splits, tasks ->
        planned.findAll { _method, own -> own[0] == plan }.collect { method, _own -> [method, splits, tasks] }
    }
    def splitsOf = plans.map { method, splits, _tasks -> [method, splits] }
    def parts = (1..settings.training_parts).collect { number -> ['mlp', "${number}/${settings.training_parts}".toString()] }
    def others = otherClassifiers(settings.other_classifiers)
    def trainings = parts + others.collect { classifier -> [classifier, '1/1'] }
    // the trainings of few cells are not divided
    def ownTrainings = chosen.collectEntries { method -> [method.name, method.name == noMethod() || settings.method_cells == 'all' ? trainings : [['mlp', '1/1']]] }
    // what maps features does so in each fold, from the features that it has not seen
    def plain = rows.filter { meta, _table -> meta.method == noMethod() }.map { meta, table -> [meta.extractor, table] }
    def ownFolds = folds.mix(channel.fromList(chosen.findAll { method -> !isPooledOfImages(method) }.collect { method -> [method.name, []] }))
    TRAIN_CLASSIFIERS(
        // the widest features take longest, so they come first
        classified
            .flatMap { meta, tables ->
                def sets = [meta.extractors, tables].transpose().toSorted { a, b -> b[1].size() <=> a[1].size() ?: a[0] <=> b[0] }
                sets.collect { extractor, table -> [extractor, [method: meta.method, extractor: extractor], table] }
            }
            .combine(plain, by: 0)
            .map { _extractor, meta, table, unharmonized -> [meta.method, meta, isInFolds(named[meta.method]) ? unharmonized : table] }
            .combine(splitsOf, by: 0)
            .combine(ownFolds, by: 0)
            .flatMap { method, meta, table, splits, of_folds ->
                def own = named[method]
                def mapped = isInFolds(own) ? [name: method, shipped: own.shipped, digest: methodDigest(own.folder)] : null
                // features of volumes are there, and need nothing of the method's
                def image = own.level == 'feature' ? ownImage(own) : [:]
                ownTrainings[method].collect { classifier, part -> [meta + image, table, splits, classifier, part, mapped, mapped ? own.folder : [], of_folds] }
            },
        settings.domain, settings.mode, settings.verify, settings.seed, settings.harmonize_by, codeDigest('train_classifiers.py'),
    )
    def trained = TRAIN_CLASSIFIERS.out.predictions
        .map { meta, predictions, table, losses, times, untrained -> [meta.method, [predictions.toString(), predictions, table, losses, times, untrained]] }
    MERGE_PREDICTIONS(
        byMethod(trained, sizes.collectEntries { method, n -> [method, n * ownTrainings[method].size()] })
            .map { method, _keys, predictions, tables, losses, times, untrained -> [method, predictions, tables, losses, times, untrained] }
            .combine(splitsOf, by: 0),
        codeDigest('merge_predictions.py'),
    )

    emit:
    tables = MEASURE_STABILITY.out.stability
        .map { meta, icc, intervals, leftOut, repeatability, stable -> [meta.method, icc, intervals, leftOut, repeatability, stable] }
        .join(EMBED_FEATURES.out.embedding.map { meta, embedding, quality -> [meta.method, embedding, quality] })
        .join(plans)
        .join(MERGE_PREDICTIONS.out.predictions)
        .map { item -> [item[0], item.drop(1)] }
        // [method, [table, ...]]: icc.csv, icc_intervals.csv, icc_left_out.csv, repeatability.csv, stable_features.csv, embedding.parquet,
        // embedding_quality.csv, splits.csv, tasks.csv,
        // predictions.parquet, trainings.csv, losses.parquet, untrained.csv
    embedding = EMBED_FEATURES.out.embedding.map { meta, table, _quality -> [meta.method, table] }      // [method, embedding.parquet]
    times = MERGE_PREDICTIONS.out.times     // [method, training_times.csv]
}
