// The whole benchmark: DICOM -> index -> registered volumes -> pairs and features -> evaluation -> tables, figures, report.

include { SIMULATE          } from '../subworkflows/input/main'
include { INDEX             } from '../subworkflows/input/main'
include { PREPROCESS        } from '../subworkflows/preprocess/main'
include { EXTRACT           } from '../subworkflows/extract/main'
include { GIVEN_FEATURES    } from '../subworkflows/extract/main'
include { EVALUATE_IMAGES   } from '../subworkflows/evaluate/main'
include { EVALUATE_FEATURES } from '../subworkflows/evaluate/main'
include { REPORT            } from '../subworkflows/report/main'
include { extractorNames    } from '../subworkflows/extract/main'
include { methodNames       } from '../subworkflows/utilities/channels'

workflow BENCHMARK {
    take:
    settings    // map of parameters
    run         // map: what the report says of the run

    main:
    def methods = channel.fromList(methodNames(settings))
    def extractors = extractorNames(settings)
    def absent = channel.value([])
    def images = [index: absent, registered: absent, quarantine: absent, transforms: absent, patches: absent, reference: absent, truth: absent]
    def features
    if (settings.features) {
        GIVEN_FEATURES(settings, methods)
        features = GIVEN_FEATURES.out.features
    }
    else {
        def roots
        if (settings.input) {
            roots = channel.value([file(settings.input).toAbsolutePath()])
        }
        else {
            SIMULATE(settings)
            roots = SIMULATE.out.roots
            images.truth = SIMULATE.out.truth.first()
        }
        INDEX(settings, roots)
        // the twin's slab lies in A1's full grid, whose first voxel is here
        def boxed = settings.input ? settings : settings + [box_origin_mm: settings.box_origin_mm ?: '-174.658203125,-340.158203125,24']
        PREPROCESS(boxed, roots, INDEX.out.index)
        // every evaluation has a method; those of today leave the volumes as they are
        def chunks = PREPROCESS.out.chunks.combine(methods).map { meta, rows, volumes, method -> [meta + [method: method], rows, volumes] }
        EXTRACT(settings, chunks, INDEX.out.index, PREPROCESS.out.registered, PREPROCESS.out.patches, PREPROCESS.out.reference)
        EVALUATE_IMAGES(settings, chunks, PREPROCESS.out.registered, PREPROCESS.out.reference, INDEX.out.index, roots)
        features = EXTRACT.out.features
        images.putAll([
            index: INDEX.out.index, registered: PREPROCESS.out.registered, quarantine: PREPROCESS.out.quarantine,
            transforms: PREPROCESS.out.transforms, patches: PREPROCESS.out.patches, reference: PREPROCESS.out.reference,
            volumes: EVALUATE_IMAGES.out.volumes, pairs: EVALUATE_IMAGES.out.pairs, profile: EVALUATE_IMAGES.out.profile,
        ])
    }
    EVALUATE_FEATURES(settings, features, extractors, images.patches)
    REPORT(settings, images, features, extractors, EVALUATE_FEATURES.out.tables, EVALUATE_FEATURES.out.embedding, EVALUATE_FEATURES.out.times, run)

    emit:
    report = REPORT.out.report
}
