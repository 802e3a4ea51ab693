// Features of the patches, and on request of the whole ROIs, of every registered series at the chosen doses.

include { EXTRACT_RADIOMICS } from '../../modules/extract_radiomics/main'
include { EXTRACT_DEEP      } from '../../modules/extract_deep/main'
include { MERGE_FEATURES    } from '../../modules/merge_features/main'
include { MERGE_FEATURES as MATCH_FEATURES } from '../../modules/merge_features/main'
include { MERGE_FOLDS       } from '../../modules/merge_folds/main'
include { atDoses           } from '../utilities/channels'
include { byMethod          } from '../utilities/channels'
include { chunkSize         } from '../utilities/channels'
include { chunksOf          } from '../utilities/channels'
include { featureTasks      } from '../utilities/channels'
include { rowsOf            } from '../utilities/channels'
include { codeDigest        } from '../utilities/code'
include { deepEncoders      } from '../utilities/encoders'
include { encoderDigest     } from '../utilities/encoders'
include { isClassified      } from '../utilities/extractors'
include { regionExtractors  } from '../utilities/extractors'
include { phantomFile       } from '../utilities/files'
include { noMethod          } from '../utilities/methods'

// Whether a run is to have that feature set.
def isWanted(Map settings, String name) {
    return settings.feature_sets == 'all' || name in settings.feature_sets.toString().tokenize(',')
}

def wantedRegions(Map settings) {
    return regionExtractors(settings).findAll { _region, name -> isWanted(settings, name) }
}

def wantedEncoders(Map settings) {
    return deepEncoders(settings).findAll { encoder -> isWanted(settings, encoder.name) }
}

// The extractors of a run: one table of features each.
def extractorNames(Map settings) {
    if (settings.features) {
        return givenTables(settings).collect { table -> table.baseName }
    }
    def names = wantedRegions(settings).values() + wantedEncoders(settings).collect { encoder -> encoder.name }
    if (!names) {
        error("--feature_sets ${settings.feature_sets}: the run has none of these; it has ${(regionExtractors(settings).values() + deepEncoders(settings).collect { encoder -> encoder.name }).join(', ')}")
    }
    return names
}

def givenTables(Map settings) {
    return settings.features.toString().tokenize(',').collect { place -> file(place) }
}

def radiomicsSettings(Map settings) {
    return file(settings.radiomics_params ?: "${projectDir}/assets/radiomics.yaml")
}

// An encoder with the digest of its code -> what EXTRACT_DEEP is given of it.
def ofEncoder(Map encoder) {
    return [extractor: encoder.name, module: encoder.module, source: encoder.source, options: encoder.options]
}

workflow EXTRACT {
    take:
    settings    // map of parameters
    chunks      // [meta(id, method, uids), registered.csv of the chunk, [<series_uid>.b2nd, ...]]
    index       // value channel: the index's folder
    registered  // value channel: registered.csv of all chunks
    patches     // value channel: patches.csv
    reference   // value channel: folder

    main:
    def doses = settings.feature_doses.toString().tokenize(',')
    def tasks = index.map { folder -> featureTasks(chunksOf(folder, chunkSize(settings)), doses, 3 * settings.chunk_size) }
    // the series of a task follow as soon as its own chunks are registered
    def chosen = chunks
        .combine(tasks.map { all -> [all] })
        .map { meta, table, paths, all -> [meta, all.find { task -> meta.uids[0] in task.chunks }, table, paths] }
        .filter { _meta, task, _table, _paths -> task }
        .map { meta, task, table, paths -> [groupKey([task, meta.method], task.chunks.size()), [meta.uids[0], table, paths]] }
        .groupTuple(sort: { a, b -> a[0] <=> b[0] })
        .map { key, items ->
            def (part, method) = key.getGroupTarget()
            def uids = items.collectMany { item -> atDoses(rowsOf(item[1]), doses) }.collect { row -> row.series_uid }.toSorted()
            def byName = items.collectMany { item -> item[2] }.collectEntries { path -> [path.baseName, path] }
            [[id: part.id, method: method, uids: uids], items.collect { item -> item[1] }, uids.collect { uid -> byName[uid] }]
        }
        .branch { meta, _tables, _kept ->
            filled: meta.uids
            blank: true
        }

    // whole ROIs need the reference's labels
    def regions = channel.fromList(wantedRegions(settings).collect { region, name -> [region: region, extractor: name] })
    EXTRACT_RADIOMICS(
        chosen.filled.combine(regions).combine(reference)
            .map { meta, tables, kept, region, folder -> [meta + region, tables, kept, region.region == 'roi' ? folder : []] },
        patches, radiomicsSettings(settings), settings.verify, settings.seed, codeDigest('extract_radiomics.py'),
    )

    def encoders = channel.fromList(wantedEncoders(settings).collect { encoder -> encoder + [digest: encoderDigest(encoder)] })
    EXTRACT_DEEP(
        chosen.filled.combine(encoders).map { meta, tables, kept, encoder ->
            [meta + ofEncoder(encoder), tables, kept, encoder.weights, encoder.code, encoder.digest]
        },
        patches, settings.mode, settings.verify, settings.seed,
    )

    // a task whose series were all set aside has no features, but is waited for
    def without = chosen.blank.combine(channel.fromList(extractorNames(settings))).map { meta, _tables, _kept, extractor -> [meta + [extractor: extractor], [], []] }
    def parts = EXTRACT_RADIOMICS.out.features.mix(EXTRACT_DEEP.out.features, without)
        .combine(tasks.map { all -> all.size() })
        .map { meta, table, notes, n -> [groupKey(meta.subMap('method', 'extractor'), n), [meta.id, table, notes]] }
        .groupTuple(sort: { a, b -> a[0] <=> b[0] })
        .map { key, items ->
            def found = items.findAll { item -> item[1] }
            if (!found) {
                error("no series at ${settings.feature_doses} mGy (--feature_doses) could be registered; name other doses, or another --reference")
            }
            [key.getGroupTarget(), found.collect { item -> item[1] }, found.collect { item -> item[2] }, []]
        }
    MERGE_FEATURES(parts, registered, patches, settings.mode, phantomFile(settings), codeDigest('merge_features.py'))

    emit:
    features = MERGE_FEATURES.out.features      // [meta(method, extractor), table, settings]
}

// Features that classifiers take, of volumes that methods which learn from all scanners mapped in each fold.
workflow EXTRACT_FOLDS {
    take:
    settings    // map of parameters
    folds       // [meta(method, id, number, uids), [<series_uid>.b2nd, ...] or none, harmonization.csv]
    plan        // value channel: folds.csv
    registered  // value channel: registered.csv of all chunks
    patches     // value channel: patches.csv

    main:
    def there = folds.map { meta, paths, _outcome -> [meta.subMap('method', 'id', 'number', 'uids'), [paths].flatten()] }
        .filter { _meta, paths -> paths }
        .combine(registered)
    // what computes them was checked on the volumes that they were mapped from
    def verify = 0
    def regions = channel.fromList(wantedRegions(settings).findAll { _region, name -> isClassified(name) }.collect { region, name -> [region: region, extractor: name] })
    EXTRACT_RADIOMICS(
        there.combine(regions).map { meta, kept, table, region -> [meta + region, [table], kept, []] },
        patches, radiomicsSettings(settings), verify, settings.seed, codeDigest('extract_radiomics.py'),
    )
    def encoders = channel.fromList(wantedEncoders(settings).findAll { encoder -> isClassified(encoder.name) }.collect { encoder -> encoder + [digest: encoderDigest(encoder)] })
    EXTRACT_DEEP(
        there.combine(encoders).map { meta, kept, table, encoder -> [meta + ofEncoder(encoder), [table], kept, encoder.weights, encoder.code, encoder.digest] },
        patches, settings.mode, verify, settings.seed,
    )
    // a fit that came to no end has its outcome alone
    def parts = folds.map { meta, _paths, outcome -> [meta, outcome] }
        .mix(EXTRACT_RADIOMICS.out.features.mix(EXTRACT_DEEP.out.features).map { meta, table, _notes -> [meta, table] })
        .map { meta, path -> [meta.method, [String.format('%06d %s', meta.number, path.name), meta.number, path]] }
    MERGE_FOLDS(
        byMethod(parts, null).map { method, _keys, numbers, paths -> [method, numbers, paths] },
        plan, settings.domain, settings.seed, codeDigest('merge_folds.py'),
    )

    emit:
    folds = MERGE_FOLDS.out.folds           // [method, folder of all folds]
    left_out = MERGE_FOLDS.out.left_out     // [method, folder: each scanner by a fit without it]
    outcomes = MERGE_FOLDS.out.outcomes     // [method, harmonization.csv]: of the fit on all series, and of each without a scanner
}

// What a run wrote of a table lies beside it under the same name, and goes with it.
def withNotes(method, table) {
    def notes = table.resolveSibling("${table.baseName}.json")
    return [[method: method, extractor: table.baseName], [table], notes.exists() ? [notes] : [], []]
}

workflow GIVEN_FEATURES {
    take:
    settings    // map of parameters

    main:
    def tables = givenTables(settings)
    def twice = tables.countBy { table -> table.baseName }.find { _name, n -> n > 1 }
    if (twice) {
        error("--features has two tables called ${twice.key}; a table's name is its extractor's: rename one")
    }
    MERGE_FEATURES(channel.fromList(tables.collect { table -> withNotes(noMethod(), table) }), [], [], settings.mode, phantomFile(settings), codeDigest('merge_features.py'))

    emit:
    features = MERGE_FEATURES.out.features      // [meta(method, extractor), table, settings]
}

// What is wrong with the name of a table that was harmonized elsewhere, or null: it is that of a feature set of the run.
def foreignTable(List chosen, List names) {
    def found = chosen.collectMany { method -> method.tables.collect { table -> [method.name, table] } }.find { _name, table -> !(table.baseName in names) }
    if (!found) {
        return null
    }
    def (name, table) = found
    return "--harmonized_features ${name}=${table}: the table is called ${table.baseName}, which is no feature set of this run; a table has the name of the feature set that it has harmonized, so name the file ${names.collect { of -> "${of}.${table.extension}" }.join(' or ')}"
}

// Tables of features that were harmonized elsewhere; each has the name of an extractor of the run.
workflow BROUGHT_FEATURES {
    take:
    settings    // map of parameters
    chosen      // list of methods, as chosenMethods() gives them
    features    // [meta(method, extractor), table, settings]: those of no method are what each is held against

    main:
    def brought = chosen.collectMany { method ->
        method.tables.collect { table ->
            def (meta, tables, notes, plain) = withNotes(method.name, table)
            [meta + [brought: "${method.name}=${table}".toString()], tables, notes, plain]
        }
    }
    // what is wrong with a table by itself is found at once, what is not as in the run as soon as its features are there
    MERGE_FEATURES(channel.fromList(brought), [], [], settings.mode, phantomFile(settings), codeDigest('merge_features.py'))
    def plain = features.filter { meta, _table, _notes -> meta.method == noMethod() }.map { meta, table, _notes -> [meta.extractor, table] }
    MATCH_FEATURES(
        channel.fromList(brought).map { meta, tables, _notes, _plain -> [meta.extractor, meta, tables] }.combine(plain, by: 0)
            .map { _extractor, meta, tables, unharmonized -> [meta, tables, [], unharmonized] },
        [], [], settings.mode, phantomFile(settings), codeDigest('merge_features.py'),
    )

    emit:
    // [meta(method, extractor), table, settings]
    features = MERGE_FEATURES.out.features.join(MATCH_FEATURES.out.features.map { meta, _table, _notes -> [meta] })
        .map { meta, table, notes -> [meta.subMap('method', 'extractor'), table, notes] }
}
