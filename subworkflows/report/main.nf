// Tables, figures and the report, and the one place from which results are published.

include { MAKE_TABLES     } from '../../modules/make_tables/main'
include { DRAW_IMAGES     } from '../../modules/draw_images/main'
include { DRAW_EMBEDDING  } from '../../modules/draw_embedding/main'
include { DRAW_RESULTS    } from '../../modules/draw_results/main'
include { DRAW_PROFILES   } from '../../modules/draw_profiles/main'
include { WRITE_REPORT    } from '../../modules/write_report/main'
include { COLLECT_RESULTS } from '../../modules/collect_results/main'
include { codeDigest      } from '../utilities/code'

workflow REPORT {
    take:
    settings    // map of parameters
    images      // map of value channels, [] where the run started from features; and the channels volumes, pairs, profile
    features    // [meta(method, extractor), table, settings]
    evaluation  // [method, table]: the tables of EVALUATE_FEATURES
    times       // [method, training_times.csv]
    run         // map: what goes into run.json

    main:
    def assets = file("${projectDir}/assets")
    def scanners = assets.resolve('scanners.csv')

    def byMethod = features
        .map { meta, table, notes -> [meta.method, [meta.extractor, table, notes]] }
        .groupTuple(sort: { a, b -> a[0] <=> b[0] })
        .map { method, items -> [method, items.collect { item -> item[1] }, items.collect { item -> item[2] }] }
    def evaluated = evaluation.mix(images.pairs)
        .groupTuple(sort: { a, b -> a.name <=> b.name })
    // the series of the run: its index, or the rows of a table of features
    def series = settings.features
        ? byMethod.map { method, tables, _notes -> [method, tables[0]] }
        : byMethod.map { method, _tables, _notes -> method }.combine(images.registered)
    def index = settings.features ? [] : images.index.map { folder -> folder.resolve('series.csv') }

    MAKE_TABLES(
        series.join(evaluated).join(byMethod.map { method, _tables, notes -> [method, notes] })
            .map { method, rows, tables, notes -> [[method: method, mode: settings.mode, domain: settings.domain], rows, tables, notes] },
        index, files("${projectDir}/assets/published/*.csv").sort(), scanners, assets.resolve('extractors.yaml'), codeDigest('make_tables.py'),
    )
    def tables = MAKE_TABLES.out.tables.map { meta, folder -> [meta.method, meta, folder] }

    def pictured = channel.empty()
    if (!settings.features) {
        // figure 4 shows the first IR series of each scanner at 10 mGy
        def shown = images.registered.map { table ->
            def rows = table.splitCsv(header: true).findAll { row -> row.recon == 'IR' && (row.dose_mgy as BigDecimal).compareTo(10.0) == 0 }
            [rows.groupBy { row -> row.scanner }.collect { _scanner, own -> own.min { row -> row.repetition as Integer }.series_uid } as Set]
        }
        def volumes = images.volumes
            .map { meta, paths -> [meta.method, [paths].flatten()] }
            .groupTuple()
            .combine(shown)
            .map { method, lists, uids -> [method, lists.flatten().findAll { path -> path.baseName in uids }.toSorted { a, b -> a.name <=> b.name }] }
        DRAW_IMAGES(
            tables.join(volumes).map { _method, meta, folder, paths -> [meta, paths, folder] },
            images.registered, images.reference, scanners, codeDigest('draw_images.py'),
        )
        DRAW_PROFILES(
            tables.join(images.profile).map { _method, meta, folder, profile, displacement, _rows -> [meta, profile, displacement, folder] },
            codeDigest('draw_profiles.py'),
        )
        pictured = DRAW_IMAGES.out.figures.mix(DRAW_PROFILES.out.figures)
    }
    def embedding = evaluation.filter { _method, table -> table.name == 'embedding.parquet' }
    DRAW_EMBEDDING(
        tables.join(embedding).join(series).map { _method, meta, folder, places, rows -> [meta, places, rows, folder] },
        codeDigest('draw_embedding.py'),
    )
    DRAW_RESULTS(MAKE_TABLES.out.tables, codeDigest('draw_results.py'))
    def figures = pictured.mix(DRAW_EMBEDDING.out.figures, DRAW_RESULTS.out.figures)
        .map { meta, paths -> [meta.method, paths] }
        .groupTuple(size: settings.features ? 2 : 4)
        .map { method, lists -> [method, lists.flatten().toSorted { a, b -> a.name <=> b.name }] }

    def about = channel.of(groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(run))).collectFile(name: 'run.json', newLine: true).first()
    def usage = channel.topic('usage').toSortedList { a, b -> a.toString() <=> b.toString() }
    def profiles = settings.features ? byMethod.map { method, _tables, _notes -> [method, [], [], []] } : images.profile
    WRITE_REPORT(
        tables.join(figures).join(byMethod.map { method, _tables, notes -> [method, notes] }).join(profiles)
            .map { _method, meta, folder, drawn, notes, profile, _displacement, _rows -> [meta, folder, drawn, notes, profile] },
        images.registered, images.quarantine, images.transforms, images.patches, images.reference, images.truth,
        about, usage, assets.resolve('deviations.yaml'), assets.resolve('report.html.j2'), codeDigest('write_report.py'),
    )

    // with all that --index needs of an earlier run
    def kept = settings.features ? [] : images.index.map { folder -> ['series.csv', 'files.parquet', 'inputs.csv'].collect { name -> folder.resolve(name) } }
    def indexed = settings.features ? [] : kept.combine(images.quarantine).combine(images.patches).map { paths -> paths }.first()
    def top = WRITE_REPORT.out.report.map { _meta, page -> page }.combine(images.truth.toList()).map { page, truth -> [page, truth].flatten() }
    // what is not the same twice: parameters with their places, and times
    def aside = about.combine(times.map { _method, table -> table }).map { paths -> paths }.first()
    COLLECT_RESULTS(
        indexed, images.transforms, top, aside,
        byMethod.map { method, made, notes -> [method, made + notes] }
            .join(evaluated.join(profiles).map { method, made, profile, displacement, rows -> [method, made + [profile, displacement, rows].flatten()] })
            .join(tables.map { method, _meta, folder -> [method, folder] }).join(figures),
        codeDigest('collect_results.py'),
    )

    emit:
    report = WRITE_REPORT.out.report
}
