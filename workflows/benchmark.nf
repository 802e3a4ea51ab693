// The whole benchmark: DICOM -> index -> registered volumes -> pairs and features -> evaluation -> tables, figures, report.

include { SIMULATE          } from '../subworkflows/input/main'
include { INDEX             } from '../subworkflows/input/main'
include { PREPROCESS        } from '../subworkflows/preprocess/main'
include { EXTRACT           } from '../subworkflows/extract/main'
include { GIVEN_FEATURES    } from '../subworkflows/extract/main'
include { EVALUATE_IMAGES   } from '../subworkflows/evaluate/main'
include { EVALUATE_FEATURES } from '../subworkflows/evaluate/main'
include { REPORT            } from '../subworkflows/report/main'

workflow BENCHMARK {
    take:
    settings    // map of parameters
    run         // map: what the report says of the run

    main:
    def none = channel.value([])
    def images = [
        index: none, registered: none, quarantine: none, transforms: none, patches: none, reference: none, truth: none,
        volumes: channel.empty(), pairs: channel.empty(), profile: channel.empty(),
    ]
    def features
    if (settings.features) {
        GIVEN_FEATURES(settings)
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
        // every evaluation has a method; `none` leaves the volumes as they are
        def volumes = PREPROCESS.out.volumes.map { meta, paths -> [meta + [method: 'none'], paths] }
        EXTRACT(settings, volumes, PREPROCESS.out.registered, PREPROCESS.out.patches, PREPROCESS.out.reference)
        EVALUATE_IMAGES(settings, volumes, PREPROCESS.out.registered, PREPROCESS.out.reference)
        features = EXTRACT.out.features
        images.putAll([
            index: INDEX.out.index, registered: PREPROCESS.out.registered, quarantine: PREPROCESS.out.quarantine,
            transforms: PREPROCESS.out.transforms, patches: PREPROCESS.out.patches, reference: PREPROCESS.out.reference,
            volumes: volumes, pairs: EVALUATE_IMAGES.out.pairs, profile: EVALUATE_IMAGES.out.profile,
        ])
    }
    EVALUATE_FEATURES(settings, features, images.patches)
    REPORT(settings, images, features, EVALUATE_FEATURES.out.tables, EVALUATE_FEATURES.out.times, run)

    emit:
    report = REPORT.out.report
}
