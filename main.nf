#!/usr/bin/env nextflow
// ct4bench: the CT4Harmonization benchmark, from DICOM to its tables, figures and report.

include { BENCHMARK         } from './workflows/benchmark'
include { methodNames       } from './subworkflows/utilities/channels'
include { helpText          } from './subworkflows/utilities/parameters'
include { parameterErrors   } from './subworkflows/utilities/parameters'
include { outdirError       } from './subworkflows/utilities/places'
include { softwareError     } from './subworkflows/utilities/places'

workflow {
    main:
    def schema = file("${projectDir}/nextflow_schema.json")
    if (params.help) {
        println(helpText(schema))
    }
    else {
        def wrong = parameterErrors(params, schema)
        if (wrong) {
            error("Wrong parameters:\n  ${wrong.join('\n  ')}\nnextflow run . --help lists all")
        }
        def obstacle = outdirError(params.outdir, methodNames(params), workflow.resume) ?: softwareError(workflow)
        if (obstacle) {
            error(obstacle)
        }
        def run = [
            parameters: params.findAll { _name, value -> value != null },
            versions: [ct4bench: workflow.manifest.version, nextflow: workflow.nextflow.version.toString()],
            container_engine: workflow.containerEngine ?: 'none',
        ]
        BENCHMARK(params, run)
    }

    // a task's own words, below the engine's
    def outcome = workflow
    workflow.onComplete {
        def said = (outcome.errorReport ?: '').readLines().find { line -> line.trim().startsWith('ERROR:') }
        if (said) {
            println("\nct4bench ${said.trim()}")
        }
    }
}
