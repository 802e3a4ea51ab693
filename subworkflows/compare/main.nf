// The methods side by side: scores of each, and the leaderboard.

include { SCORE_METHODS               } from '../../modules/score_methods/main'
include { SCORE_METHODS as SCORE_NONE } from '../../modules/score_methods/main'
include { RANK_METHODS                } from '../../modules/rank_methods/main'
include { byMethod                    } from '../utilities/channels'
include { codeDigest                  } from '../utilities/code'
include { isClassified                } from '../utilities/extractors'
include { extractorsOf                } from '../utilities/methods'
include { isPooledOfImages            } from '../utilities/methods'
include { noMethod                    } from '../utilities/methods'

// [method, that file] of the files of EVALUATE_FEATURES
def fileNamed(tables, String name) {
    return tables.map { method, files -> [method, files.find { path -> path.name == name }] }
}

workflow COMPARE {
    take:
    settings    // map of parameters
    features    // [meta(method, extractor), table, settings] of all methods that came to an end
    extractors  // list of their names
    chosen      // list of methods, as chosenMethods() gives them
    left_out    // [method, folder: each scanner by a fit without it]
    outcomes    // [method, harmonization.csv]
    declared    // value channel: declared.csv
    evaluation  // [method, [table, ...]] of EVALUATE_FEATURES
    images      // map of value channels, [] where the run started from features; else also pairs and profile, by method

    main:
    def named = chosen.collectEntries { method -> [method.name, method] }
    def names = settings.features ? extractors : extractors.findAll { name -> isClassified(name) }
    def scored = features.filter { meta, _table, _notes -> named[meta.method].tables || meta.extractor in names }
    def sets = byMethod(
        scored.map { meta, table, notes -> [meta.method, [meta.extractor, table, notes]] },
        chosen.collectEntries { method -> [method.name, extractorsOf(method, names).size()] },
    )
    def plain = sets.filter { method, _names, _tables, _notes -> method == noMethod() }.first()
    def predictions = fileNamed(evaluation, 'predictions.parquet')
    def splits = fileNamed(evaluation, 'splits.csv')
    def unharmonized = predictions.filter { method, _table -> method == noMethod() }.map { _method, table -> table }.first()
    // where no fit makes the features there is nothing to leave out
    def apart = left_out.mix(channel.fromList(chosen.findAll { method -> method.level != 'feature' && !isPooledOfImages(method) }.collect { method -> [method.name, []] }))
    // what maps images is scored by them, too
    def mapping = chosen.findAll { method -> method.level == 'image' || method.volumes }.collect { method -> method.name }
    def measured = settings.features ? channel.empty() : images.pairs.join(images.profile.map { method, profile, _displacement, _rows -> [method, profile] })
    def pictured = mapping
        ? measured.filter { method, _pairs, _profile -> method in mapping }
            .combine(measured.filter { method, _pairs, _profile -> method == noMethod() }).combine(images.reference).combine(images.registered)
            .map { method, pairs, profile, _none, plain_pairs, plain_profile, reference, registered -> [method, [pairs, profile], [plain_pairs, plain_profile, registered], reference] }
        : channel.empty()
    def unpictured = channel.fromList(chosen.collect { method -> method.name } - mapping).map { method -> [method, [], [], []] }
    def scoring = sets.join(predictions).join(splits).join(apart).join(pictured.mix(unpictured)).combine(plain).combine(unharmonized)
        .map { method, own, tables, _notes, predicted, planned, folder, own_images, plain_images, reference, _none, all, unharmonized_tables, _all_notes, unharmonized_predictions ->
            def bySet = [all, unharmonized_tables].transpose().collectEntries { name, table -> [name, table] }
            [[method: method, extractors: own, unfitted: !folder], tables, predicted, planned, folder, own.collect { name -> bySet[name] }, unharmonized_predictions, own_images, plain_images, reference]
        }
        .branch { meta, _tables, _predicted, _planned, _folder, _plain, _unharmonized, _images, _plain_images, _reference ->
            none: meta.method == noMethod()
            methods: true
        }
    // the others are beside it
    SCORE_NONE(scoring.none.map { item -> item + [[]] }, settings.domain, settings.seed, codeDigest('score_methods.py'))
    SCORE_METHODS(
        scoring.methods.combine(SCORE_NONE.out.scores.map { _meta, table -> table }.first()),
        settings.domain, settings.seed, codeDigest('score_methods.py'),
    )
    def scored_methods = SCORE_NONE.out.scores.mix(SCORE_METHODS.out.scores).map { meta, table -> [meta.method, table] }
    def found = scored_methods.mix(outcomes, fileNamed(evaluation, 'untrained.csv'))
    RANK_METHODS(
        found.toSortedList { a, b -> "${a[0]}/${a[1].name}" <=> "${b[0]}/${b[1].name}" }.map { items -> items.transpose() },
        declared, plain.map { _none, _names, tables, _notes -> tables }, plain.map { _none, _names, _tables, notes -> notes },
        splits.filter { method, _table -> method == noMethod() }.map { _method, table -> table }.first(),
        settings.subMap('mode', 'domain', 'seed', 'harmonize_by', 'method_cells') + [version: workflow.manifest.version],
        codeDigest('rank_methods.py'),
    )

    emit:
    // [method, [scores.csv, and harmonization.csv where features are mapped]]
    scores = scored_methods.join(outcomes, remainder: true)
        .filter { item -> item[1] }
        .map { item -> [item[0], item.drop(1).findAll { path -> path }] }
    tables = RANK_METHODS.out.tables       // [methods.csv, leaderboard.csv, leaderboard_makers.csv, comparison.json]
}
