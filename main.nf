#!/usr/bin/env nextflow
// ct4bench: the CT4Harmonization benchmark, from DICOM to its tables, figures and report.

include { BENCHMARK         } from './workflows/benchmark'
include { COLLECTION        } from './workflows/benchmark'
include { downloadError     } from './subworkflows/utilities/download'
include { methodNames       } from './subworkflows/utilities/methods'
include { helpText          } from './subworkflows/utilities/parameters'
include { parameterErrors   } from './subworkflows/utilities/parameters'
include { settingsOf        } from './subworkflows/utilities/parameters'
include { lockOutdir        } from './subworkflows/utilities/places'
include { outdirError       } from './subworkflows/utilities/places'
include { placeError        } from './subworkflows/utilities/places'
include { softwareError     } from './subworkflows/utilities/places'
include { twinError         } from './subworkflows/utilities/twin'

workflow {
    main:
    def schema = file("${projectDir}/nextflow_schema.json", glob: false)
    def mine
    if (params.help) {
        println(helpText(schema))
    }
    else {
        def wrong = parameterErrors(params, schema, workflow.commandLine, workflow.containerEngine)
        if (wrong) {
            error("Wrong parameters:\n  ${wrong.join('\n  ')}\nnextflow run . --help lists all")
        }
        def settings = settingsOf(params, schema)
        def obstacle = placeError(workflow) ?: downloadError(params, settings, workflow.workDir) ?:
            outdirError(settings.outdir, methodNames(settings), workflow.resume, settings.download || settings.input) ?: softwareError(workflow) ?: (settings.input || settings.features || settings.download ? null : twinError(settings))
        if (obstacle) {
            error(obstacle)
        }
        mine = lockOutdir(settings.outdir)
        if (!mine) {
            error("--outdir ${settings.outdir} is being written by another run; wait for its end, or name another folder")
        }
        def run = [
            parameters: settings.findAll { _name, value -> value != null },
            versions: [ct4bench: workflow.manifest.version, nextflow: workflow.nextflow.version.toString()],
            container_engine: workflow.containerEngine ?: 'none',
        ]
        if (settings.download_only) {
            COLLECTION(settings)
            COLLECTION.out.roots.subscribe { roots -> println("All of it is in ${roots[0]}, which serves as --input") }
        }
        else {
            BENCHMARK(settings, run)
        }
    }

    // a task's own words, below the engine's
    def outcome = workflow
    def locked = mine
    workflow.onComplete {
        locked?.release()
        def said = (outcome.errorReport ?: '').readLines().find { line -> line.trim().startsWith('ERROR:') }
        if (said) {
            println("\nct4bench ${said.trim()}")
        }
    }
}
