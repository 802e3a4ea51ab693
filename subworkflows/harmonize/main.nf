// Methods that map features: what they make of all rows, and of each scanner without it. In the folds the training asks.

include { HARMONIZE_FEATURES           } from '../../modules/harmonize_features/main'
include { PLAN_METHODS                 } from '../../modules/plan_methods/main'
include { PLAN_METHODS as READ_METHODS } from '../../modules/plan_methods/main'
include { byMethod                     } from '../utilities/channels'
include { codeDigest                   } from '../utilities/code'
include { methodDigest                 } from '../utilities/methods'
include { noMethod                     } from '../utilities/methods'
include { ownImage                     } from '../utilities/methods'

workflow HARMONIZE {
    take:
    settings    // map of parameters
    features    // [meta(method, extractor), table, settings] of the methods that leave features as they were extracted
    extractors  // list of their names
    chosen      // list of methods, as chosenMethods() gives them
    series      // value channel: series.csv of the index, or a table of features

    main:
    // what they declare is read as the run starts, and what they cost is told before any of them runs
    def named = chosen.collect { method -> method.name }
    def folders = chosen.findAll { method -> method.folder }.unique { method -> method.folder }
    def places = channel.value([
        named, chosen.findAll { method -> method.level == 'given' }.collect { method -> method.name },
        folders.findAll { method -> method.shipped }.collect { method -> method.folder.name },
        folders.collect { method -> method.folder },
        folders.findAll { method -> !method.shipped }.collect { method -> method.folder.toString() },
        folders.collect { method -> methodDigest(method.folder) },
    ])
    def size = [extractors: extractors, feature_doses: settings.features ? '' : settings.feature_doses, domain: settings.domain, cells: settings.method_cells]
    READ_METHODS(places, [], size, codeDigest('plan_methods.py'))
    PLAN_METHODS(places, series, size, codeDigest('plan_methods.py'))
    def told = PLAN_METHODS.out.costs.map { costs ->
        println(costs.text.trim())
        true
    }
    // of all extractors together, so that a method has a result for all or for none
    def plain = byMethod(features.filter { meta, _table, _notes -> meta.method == noMethod() }.map { meta, table, notes -> [meta.method, [meta.extractor, table, notes]] }, extractors.size())
    HARMONIZE_FEATURES(
        channel.fromList(chosen.findAll { method -> method.level == 'feature' }.collect { method -> method + [digest: methodDigest(method.folder)] })
            .combine(plain).combine(told)
            .map { method, _none, names, tables, notes, _told -> [[method: method.name, extractors: names, shipped: method.shipped] + ownImage(method), tables, notes, method.folder, method.digest] },
        settings.harmonize_by, settings.domain, settings.seed, codeDigest('harmonize_features.py'),
    )
    def made = HARMONIZE_FEATURES.out.features.flatMap { meta, folder ->
        meta.extractors.collect { name -> [[method: meta.method, extractor: name], folder.resolve("${name}.parquet"), folder.resolve("${name}.json")] }
            .findAll { _meta, table, _notes -> table.exists() }
    }

    def leaky = chosen.findAll { method -> method.level == 'leaky' }
    def leaked = made.flatMap { meta, table, notes ->
        leaky.findAll { method -> method.of == meta.method }.collect { method -> [meta + [method: method.name], table, notes] }
    }

    emit:
    features = features.mix(made, leaked)       // [meta(method, extractor), table, settings] of all methods that came to an end
    left_out = HARMONIZE_FEATURES.out.left_out.map { meta, folder -> [meta.method, folder] }     // [method, folder: each scanner by a fit without it]
    outcomes = HARMONIZE_FEATURES.out.outcome.map { meta, table -> [meta.method, table] }        // [method, harmonization.csv]
    declared = PLAN_METHODS.out.methods         // declared.csv
}
