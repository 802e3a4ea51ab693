// Tables, figures and the report, and the one place from which results are published.

include { MAKE_TABLES     } from '../../modules/make_tables/main'
include { DRAW_IMAGES     } from '../../modules/draw_images/main'
include { DRAW_EMBEDDING  } from '../../modules/draw_embedding/main'
include { DRAW_LEADERBOARD } from '../../modules/draw_leaderboard/main'
include { DRAW_RESULTS    } from '../../modules/draw_results/main'
include { DRAW_PROFILES   } from '../../modules/draw_profiles/main'
include { WRITE_REPORT    } from '../../modules/write_report/main'
include { COLLECT_RESULTS } from '../../modules/collect_results/main'
include { atDoses         } from '../utilities/channels'
include { byMethod        } from '../utilities/channels'
include { chosenMethods   } from '../utilities/methods'
include { extractorsOf    } from '../utilities/methods'
include { hasImages       } from '../utilities/methods'
include { isPooledOfImages } from '../utilities/methods'
include { noMethod        } from '../utilities/methods'
include { rowsOf          } from '../utilities/channels'
include { codeDigest      } from '../utilities/code'
include { phantomFile     } from '../utilities/files'

// [[folder of the results, file], ...] for a file or a list of files.
def placed(folder, files) {
    return [files].flatten().toSorted { a, b -> a.name <=> b.name }.collect { path -> [folder.toString(), path] }
}

workflow REPORT {
    take:
    settings    // map of parameters
    images      // map of value channels, [] where the run started from features; else also volumes, pairs and profile, by method
    features    // [meta(method, extractor), table, settings]
    extractors  // list of their names
    evaluation  // [method, [table, ...]] of EVALUATE_FEATURES
    embedding   // [method, embedding.parquet]
    times       // [method, training_times.csv]
    board       // value channel: the tables of the leaderboard, [] where there is one method
    scores      // [method, [scores.csv, ...]] of the methods that have scores; nothing where there is one method
    run         // map: what goes into run.json

    main:
    def chosen = chosenMethods(settings)
    def methods = chosen.collect { method -> method.name }
    // what maps features has no images of its own
    def imageless = channel.fromList(settings.features ? [] : chosen.findAll { method -> !hasImages(method) }.collect { method -> method.name })
    def assets = file("${projectDir}/assets")
    def scanners = assets.resolve('scanners.csv')

    def made = byMethod(features.map { meta, table, notes -> [meta.method, [meta.extractor, table, notes]] }, chosen.collectEntries { method -> [method.name, extractorsOf(method, extractors).size()] })
        .map { method, _names, tables, notes -> [method, tables, notes] }
    def notesOf = made.map { method, _tables, notes -> [method, notes] }
    // the series of the run: its index, or the rows of a table of features
    def series = settings.features
        ? made.map { method, tables, _notes -> [method, tables[0]] }
        : notesOf.map { method, _notes -> method }.combine(images.registered)
    def index = settings.features ? [] : images.index.map { folder -> folder.resolve('series.csv') }
    def evaluated = (settings.features ? evaluation : evaluation.join(images.pairs.mix(imageless.map { method -> [method, []] })))
        .map { item -> [item[0], item.drop(1).flatten().toSorted { a, b -> a.name <=> b.name }] }

    // what tasks computed twice, by other libraries
    def checks = settings.features
        ? notesOf.map { method, _notes -> [method, []] }
        : notesOf.map { method, _notes -> method }
            .combine(channel.topic('checks').toSortedList { a, b -> a.toString() <=> b.toString() }.map { found -> [found] })
            .map { method, found -> [method, found.findAll { of, _path -> !of || of == method }.collect { _of, path -> path }] }
    MAKE_TABLES(
        series.join(evaluated).join(notesOf).join(checks)
            .map { method, rows, tables, notes, twice -> [[method: method, mode: settings.mode, domain: settings.domain, seed: settings.seed, imageless: methods.indexOf(method) > 0 && !hasImages(chosen[methods.indexOf(method)])], rows, tables, notes, twice] },
        index, files("${projectDir}/assets/published/*.csv").sort(), scanners, assets.resolve('extractors.yaml'), phantomFile(settings), codeDigest('make_tables.py'),
    )
    def tables = MAKE_TABLES.out.tables.map { meta, paths -> [meta.method, meta, paths] }

    DRAW_EMBEDDING(
        tables.join(embedding).join(series).map { _method, meta, folder, places, rows -> [meta, places, rows, folder] },
        codeDigest('draw_embedding.py'),
    )
    DRAW_RESULTS(MAKE_TABLES.out.tables, codeDigest('draw_results.py'))
    def drawn = [DRAW_EMBEDDING.out.figures, DRAW_RESULTS.out.figures].collect { figured -> figured.map { meta, paths -> [meta.method, paths] } }
    if (!settings.features) {
        // figure 4 shows the first IR series of each scanner at 10 mGy, of a phantom of the user's own what most scanners have;
        // small pictures of patches are of all series that have features
        def doses = settings.feature_doses.toString().tokenize(',')
        def shown = images.registered.map { table ->
            def rows = settings.phantom ? rowsOf(table) : atDoses(rowsOf(table), [10]).findAll { row -> row.recon == 'IR' }
            def featured = atDoses(rowsOf(table), doses).collect { row -> row.series_uid }
            [(featured + rows.groupBy { row -> settings.phantom ? [row.scanner, row.dose_mgy, row.recon] : row.scanner }.collect { _scanner, own -> own.min { row -> row.repetition as Integer }.series_uid }).toUnique().toSorted()]
        }
        DRAW_IMAGES(
            tables.join(images.volumes).join(embedding).combine(shown)
                .map { _method, meta, folder, paths, places, uids -> [meta, uids.findAll { uid -> paths[uid] }.collect { uid -> paths[uid] }, folder, places] },
            images.registered, images.reference, images.patches, scanners, codeDigest('draw_images.py'),
        )
        DRAW_PROFILES(
            tables.join(images.profile).map { _method, meta, folder, profile, displacement, _rows -> [meta, profile, displacement, folder] },
            codeDigest('draw_profiles.py'),
        )
        drawn += [DRAW_IMAGES.out.figures, DRAW_PROFILES.out.figures]
            .collect { figured -> figured.map { meta, paths -> [meta.method, paths] }.mix(imageless.map { method -> [method, []] }) }
    }
    def figures = drawn.inject { all, more -> all.join(more) }
        .map { item -> [item[0], item.drop(1).flatten()] }

    def boardFigures = channel.value([])
    if (chosen.size() > 1) {
        DRAW_LEADERBOARD(board, tables.filter { method, _meta, _folder -> method == noMethod() }.map { _method, _meta, folder -> folder }.first(), codeDigest('draw_leaderboard.py'))
        boardFigures = DRAW_LEADERBOARD.out.figures
    }
    def about = channel.of(groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(run))).collectFile(name: 'run.json', newLine: true).first()
    def usage = channel.topic('usage').flatten().toSortedList { a, b -> a.toString() <=> b.toString() }
    def profiles = settings.features ? notesOf.map { method, _notes -> [method, [], [], []] } : images.profile.mix(imageless.map { method -> [method, [], [], []] })
    def compared = chosen.size() > 1 ? scores : notesOf.map { method, _notes -> [method, []] }
    def reported = tables.join(figures).join(notesOf).join(profiles).join(compared).map { method, _meta, folder, pictures, notes, profile, _displacement, _rows, scored ->
        [method, placed("${method}/tables", folder) + placed("${method}/figures", pictures) + placed("${method}/features", notes) + placed(method, [profile] + scored.findAll { path -> path.name == 'scores.csv' })]
    }
    // what the page's moving views show
    def viewed = evaluated.map { method, found -> [method, placed(method, found.findAll { path -> path.name in ['embedding.parquet', 'icc.csv'] })] }
    // the report, and a page for each further method
    WRITE_REPORT(
        reported.join(viewed).map { method, files, more -> [method, files + more] }.collect(flat: false)
            .map { all -> all.toSorted { a, b -> methods.indexOf(a[0]) <=> methods.indexOf(b[0]) } }
            // a method that did not come to an end stands in the leaderboard alone
            .map { all -> [all.collect { item -> item[0] }] + all.collectMany { item -> item[1] }.transpose() },
        images.registered, settings.features ? series.filter { method, _table -> method == methods[0] }.map { _method, table -> table }.first() : [],
        images.quarantine, images.transforms, images.patches, images.reference, images.truth,
        board.map { found -> [found] }.combine(boardFigures.map { found -> [found] }).map { found, pictures -> [found, pictures].flatten() },
        about, usage, assets.resolve('deviations.yaml'), assets.resolve('report.html.j2'), codeDigest('write_report.py'),
    )

    // with all that --index needs of an earlier run
    def ofIndex = settings.features ? channel.empty() : images.index.map { folder -> ['series.csv', 'files.parquet', 'inputs.csv'].collect { name -> folder.resolve(name) } }
    def ofRun = ofIndex.mix(images.quarantine, images.patches).map { paths -> placed('index', paths) }.mix(
        images.transforms.map { table -> placed('registration', table) },
        images.truth.map { table -> placed('.', table) },
        about.map { table -> placed('pipeline_info', table) },
        // what the run's crate says the workflow is
        channel.of(placed('provenance', [file("${projectDir}/main.nf"), file("${projectDir}/nextflow_schema.json")])),
        board.map { made_board -> placed('.', made_board) },
        boardFigures.map { pictures -> placed('figures', pictures) },
    )
    def ofMethods = made.join(evaluated).join(profiles).join(tables).join(figures).join(times).join(compared)
        .map { method, given, notes, evaluations, profile, displacement, rows, _meta, folder, pictures, trained, scored ->
            // only what is fitted in each fold may lack some
            def own = chosen[methods.indexOf(method)]
            def kept = evaluations.findAll { path -> path.name != 'untrained.csv' || own.level == 'feature' || isPooledOfImages(own) }
            placed("${method}/features", given + notes) + placed(method, kept + scored + [profile, displacement, rows].flatten()) +
                placed("${method}/tables", folder) + placed("${method}/figures", pictures) +
                // what is not the same twice lies aside
                placed("pipeline_info/${method}", trained)
        }
    COLLECT_RESULTS(
        WRITE_REPORT.out.report.map { pages -> [[pages].flatten()] }
            .combine(ofRun.mix(ofMethods).toList().map { all -> [all.collectMany { items -> items }] })
            .map { pages, all -> (placed('.', pages) + all).toSorted { a, b -> "${a[0]}/${a[1].name}" <=> "${b[0]}/${b[1].name}" }.transpose() },
        usage, codeDigest('collect_results.py'),
    )

    emit:
    report = WRITE_REPORT.out.report
}
