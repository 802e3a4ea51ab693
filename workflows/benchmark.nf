// The whole benchmark: DICOM -> index -> registered volumes -> pairs and features -> evaluation -> tables, figures, report.

include { DOWNLOAD          } from '../subworkflows/download/main'
include { STREAM            } from '../subworkflows/download/main'
include { STREAM_FIRST      } from '../subworkflows/download/main'
include { SIMULATE          } from '../subworkflows/input/main'
include { SIMULATE_FIRST    } from '../subworkflows/input/main'
include { INDEX             } from '../subworkflows/input/main'
include { INDEX_PARTS       } from '../subworkflows/input/main'
include { TAKE              } from '../subworkflows/parts/main'
include { PREPROCESS        } from '../subworkflows/preprocess/main'
include { PREPROCESS_PARTS  } from '../subworkflows/preprocess/main'
include { REFERENCE         } from '../subworkflows/preprocess/main'
include { EXTRACT           } from '../subworkflows/extract/main'
include { EXTRACT_FOLDS     } from '../subworkflows/extract/main'
include { HARMONIZE         } from '../subworkflows/harmonize/main'
include { HARMONIZE_IMAGES  } from '../subworkflows/harmonize_images/main'
include { hasImages         } from '../subworkflows/utilities/methods'
include { isPooledOfImages  } from '../subworkflows/utilities/methods'
include { leftOutOfAll      } from '../subworkflows/utilities/methods'
include { GIVEN_FEATURES    } from '../subworkflows/extract/main'
include { BROUGHT_FEATURES  } from '../subworkflows/extract/main'
include { EVALUATE_IMAGES   } from '../subworkflows/evaluate/main'
include { EVALUATE_FEATURES } from '../subworkflows/evaluate/main'
include { COMPARE           } from '../subworkflows/compare/main'
include { REPORT            } from '../subworkflows/report/main'
include { extractorNames    } from '../subworkflows/extract/main'
include { foreignTable      } from '../subworkflows/extract/main'
include { isClassified      } from '../subworkflows/utilities/extractors'
include { strangeVolumes    } from '../subworkflows/harmonize_images/main'
include { chosenMethods     } from '../subworkflows/utilities/methods'
include { noMethod          } from '../subworkflows/utilities/methods'

// The folder of series alone.
workflow COLLECTION {
    take:
    settings    // map of parameters

    main:
    DOWNLOAD(settings)

    emit:
    roots = DOWNLOAD.out.roots      // [folder of all series]
}

workflow BENCHMARK {
    take:
    settings    // map of parameters
    run         // map: what the report says of the run

    main:
    def chosen = chosenMethods(settings)
    def apart = leftOutOfAll(settings)
    if (apart) {
        println("--methods all leaves out ${apart.join(', ')}: it learns from all scanners, so that each fold needs a fit and volumes of its own; name it beside all to have it, and its cost is said")
    }
    def extractors = extractorNames(settings)
    def foreign = foreignTable(chosen, settings.features ? extractors : extractors.findAll { name -> isClassified(name) })
    if (foreign) {
        error(foreign)
    }
    def absent = channel.value([])
    def images = [index: absent, registered: absent, quarantine: absent, transforms: absent, patches: absent, reference: absent, truth: absent]
    def features
    def series
    def outcomes = channel.empty()
    // of methods of images that learn from all scanners
    def folds = channel.empty()
    def left_out = channel.empty()
    if (settings.features) {
        GIVEN_FEATURES(settings)
        features = GIVEN_FEATURES.out.features
        series = channel.value(file(settings.features.toString().tokenize(',')[0]))
    }
    else {
        // the twin's slab lies in A1's full grid, whose first voxel is here
        def boxed = settings.input || settings.download ? settings : settings + [box_origin_mm: settings.box_origin_mm ?: '-174.658203125,-340.158203125,24']
        def index
        def roots = channel.value([])
        def taken
        def prepared
        // rows of profiles that were made while the DICOM was there
        def own = channel.empty()
        def parts
        if (settings.max_disk) {
            // a method of images keeps volumes of its own
            def copies = Math.max(1, chosen.count { method -> hasImages(method) })
            STREAM_FIRST(settings, copies)
            INDEX(settings + [in_parts: false, strict: false], STREAM_FIRST.out.roots)
            REFERENCE(boxed, STREAM_FIRST.out.roots, INDEX.out.index, '', new java.util.concurrent.ConcurrentHashMap())
            STREAM(settings, copies, STREAM_FIRST.out.manifest, STREAM_FIRST.out.parts, STREAM_FIRST.out.room, REFERENCE.out.reference)
            parts = STREAM.out
        }
        else if (settings.in_parts && !settings.input && !settings.download) {
            SIMULATE_FIRST(settings)
            REFERENCE(boxed, SIMULATE_FIRST.out.roots, SIMULATE_FIRST.out.index, '', new java.util.concurrent.ConcurrentHashMap())
            TAKE(settings, SIMULATE_FIRST.out.phantom, REFERENCE.out.reference)
            images.truth = TAKE.out.truth.first()
            parts = TAKE.out
        }
        if (parts) {
            own = parts.profile
            INDEX_PARTS(settings, parts.contents, [], '')
            PREPROCESS_PARTS(settings, parts.registered, INDEX_PARTS.out.index, REFERENCE.out.choice)
            index = INDEX_PARTS.out.index
            taken = PREPROCESS_PARTS.out
            prepared = REFERENCE.out
        }
        else {
            if (settings.input) {
                roots = channel.value([file(settings.input).toAbsolutePath()])
            }
            else if (settings.download) {
                DOWNLOAD(settings)
                roots = DOWNLOAD.out.roots
            }
            else {
                SIMULATE(settings)
                roots = SIMULATE.out.roots
                images.truth = SIMULATE.out.truth.first()
            }
            INDEX(settings, roots)
            PREPROCESS(boxed, roots, INDEX.out.index)
            index = INDEX.out.index
            taken = PREPROCESS.out
            prepared = PREPROCESS.out
        }
        index = index.map { folder ->
            def strange = strangeVolumes(chosen, folder)
            if (strange) {
                error(strange)
            }
            folder
        }
        // every evaluation has a method; methods that map features share the volumes of the one that does nothing
        def chunks = taken.chunks.map { meta, rows, volumes -> [meta + [method: noMethod()], rows, volumes] }
        if (chosen.count { method -> hasImages(method) } > 1) {
            HARMONIZE_IMAGES(settings, chosen, chunks, taken.registered, prepared.reference)
            chunks = chunks.mix(HARMONIZE_IMAGES.out.chunks)
            outcomes = HARMONIZE_IMAGES.out.outcomes
        }
        EXTRACT(settings, chunks, index, taken.registered, prepared.patches, prepared.reference)
        def inFolds = chosen.findAll { method -> isPooledOfImages(method) }.collect { method -> method.name }
        if (inFolds) {
            EXTRACT_FOLDS(settings, HARMONIZE_IMAGES.out.folds, HARMONIZE_IMAGES.out.plan, taken.registered, prepared.patches)
            folds = EXTRACT_FOLDS.out.folds
            left_out = EXTRACT_FOLDS.out.left_out
            // with those of the fits without each scanner
            outcomes = outcomes.filter { method, _table -> !(method in inFolds) }.mix(EXTRACT_FOLDS.out.outcomes)
        }
        EVALUATE_IMAGES(settings, chunks, taken.registered, prepared.reference, index, roots, own)
        features = EXTRACT.out.features
        series = index.map { folder -> folder.resolve('series.csv') }
        images.putAll([
            index: index, registered: taken.registered, quarantine: taken.quarantine,
            transforms: taken.transforms, patches: prepared.patches, reference: prepared.reference,
            volumes: EVALUATE_IMAGES.out.volumes, pairs: EVALUATE_IMAGES.out.pairs, profile: EVALUATE_IMAGES.out.profile,
        ])
    }
    def board = absent
    def scores = channel.empty()
    if (chosen.size() > 1) {
        BROUGHT_FEATURES(settings, chosen, features)
        HARMONIZE(settings, features.mix(BROUGHT_FEATURES.out.features), extractors, chosen, series)
        features = HARMONIZE.out.features
    }
    EVALUATE_FEATURES(settings, features, extractors, images.patches, chosen, folds)
    if (chosen.size() > 1) {
        COMPARE(settings, features, extractors, chosen, HARMONIZE.out.left_out.mix(left_out), HARMONIZE.out.outcomes.mix(outcomes), HARMONIZE.out.declared, EVALUATE_FEATURES.out.tables, images)
        board = COMPARE.out.tables
        scores = COMPARE.out.scores
    }
    REPORT(settings, images, features, extractors, EVALUATE_FEATURES.out.tables, EVALUATE_FEATURES.out.embedding, EVALUATE_FEATURES.out.times, board, scores, run)

    emit:
    report = REPORT.out.report
}
