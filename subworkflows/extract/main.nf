// Features of the patches, and on request of the whole ROIs, of every registered series at the chosen doses.

include { EXTRACT_RADIOMICS } from '../../modules/extract_radiomics/main'
include { EXTRACT_DEEP      } from '../../modules/extract_deep/main'
include { MERGE_FEATURES    } from '../../modules/merge_features/main'
include { codeDigest        } from '../utilities/code'
include { deepEncoders      } from '../utilities/encoders'
include { encoderDigest     } from '../utilities/encoders'
include { regionExtractors  } from '../utilities/extractors'

workflow EXTRACT {
    take:
    settings    // map of parameters
    volumes     // [meta(id, method, uids), [<series_uid>.b2nd, ...]]
    registered  // value channel: registered.csv
    patches     // value channel: patches.csv
    reference   // value channel: folder

    main:
    def doses = settings.feature_doses.toString().tokenize(',').collect { dose -> dose as BigDecimal }
    // chunks are large and cross scanners here: an encoder takes longer to start than to encode ten series
    def chosen = volumes
        .map { meta, paths -> [meta.method, [paths].flatten()] }
        .groupTuple()
        .combine(registered)
        .flatMap { method, lists, table ->
            def byName = lists.flatten().collectEntries { path -> [path.baseName, path] }
            def rows = table.splitCsv(header: true).findAll { row -> doses.any { dose -> (row.dose_mgy as BigDecimal).compareTo(dose) == 0 } }
            def chunks = rows.collect { row -> row.series_uid }.collate(3 * settings.chunk_size)
            (0..<chunks.size()).collect { number ->
                [[id: String.format('%04d', number), method: method, uids: chunks[number]], chunks[number].collect { uid -> byName[uid] }]
            }
        }

    def radiomics = file(settings.radiomics_params ?: "${projectDir}/assets/radiomics.yaml")
    // whole ROIs have a table of their own, and need the reference's labels
    def regions = regionExtractors(settings)
    def ofPatches = regions.patch ? chosen.map { meta, kept -> [meta + [region: 'patch', extractor: regions.patch], kept, []] } : channel.empty()
    def ofRois = regions.roi ? chosen.combine(reference).map { meta, kept, folder -> [meta + [region: 'roi', extractor: regions.roi], kept, folder] } : channel.empty()
    EXTRACT_RADIOMICS(
        ofPatches.mix(ofRois),
        registered, patches, radiomics, settings.verify, settings.seed, codeDigest('extract_radiomics.py'),
    )

    def encoders = channel.fromList(deepEncoders(settings).collect { encoder -> [encoder + [digest: encoderDigest(encoder)]] })
    EXTRACT_DEEP(
        chosen.combine(encoders).map { meta, kept, encoder ->
            [meta + [extractor: encoder.name, module: encoder.module, source: encoder.source, options: encoder.options], kept, encoder.weights, encoder.code, encoder.digest]
        },
        registered, patches, settings.mode, settings.verify, settings.seed,
    )

    def parts = EXTRACT_RADIOMICS.out.features
        .mix(EXTRACT_DEEP.out.features)
        .map { meta, table, notes -> [meta.subMap('method', 'extractor'), [meta.id, table, notes]] }
        .groupTuple(sort: { a, b -> a[0] <=> b[0] })
        .map { meta, items -> [meta, items.collect { item -> item[1] }, items.collect { item -> item[2] }] }
    MERGE_FEATURES(parts, registered, patches, codeDigest('merge_features.py'))

    emit:
    features = MERGE_FEATURES.out.features      // [meta(method, extractor), table, settings]
}

workflow GIVEN_FEATURES {
    take:
    settings    // map of parameters

    main:
    def tables = settings.features.toString().tokenize(',').collect { place -> file(place) }
    def twice = tables.countBy { table -> table.baseName }.find { _name, n -> n > 1 }
    if (twice) {
        error("--features has two tables called ${twice.key}; a table's name is its extractor's: rename one")
    }
    def given = channel.fromList(tables).map { table -> [[method: 'none', extractor: table.baseName], [table], []] }
    MERGE_FEATURES(given, [], [], codeDigest('merge_features.py'))

    emit:
    features = MERGE_FEATURES.out.features      // [meta(method, extractor), table, settings]
}
