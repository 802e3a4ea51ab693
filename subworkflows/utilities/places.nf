// Where results go and what tasks need, looked at before any task.

include { isWritable } from './files'
include { pathError  } from './files'

// What is wrong with where the checkout and the work directory lie, or null.
def placeError(workflow) {
    def wrong = [checkout: workflow.projectDir, 'work directory': workflow.workDir].findResult { what, place ->
        def why = pathError(place.toString(), workflow.containerEngine)
        why ? "the ${what} ${place} ${why}" : null
    }
    if (wrong) {
        return wrong
    }
    // tasks find their scripts by PATH
    return workflow.projectDir.toString().contains(':') ? "the checkout ${workflow.projectDir} has : in its path, which PATH cannot hold; move it" : null
}

// Marks --outdir as this run's until the process ends; null where another run has it. Only folders of this machine's file
// systems can be marked.
def lockOutdir(outdir) {
    def folder = file(outdir, glob: false).toAbsolutePath()
    if (folder.scheme != 'file') {
        return [release: { -> }]
    }
    def place = folder.resolve('pipeline_info')
    place.mkdirs()
    def mark = place.resolve('.running')
    def channel = java.nio.channels.FileChannel.open(mark, java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.WRITE)
    def lock = channel.tryLock()
    if (!lock) {
        channel.close()
        return null
    }
    return [
        release: { ->
            mark.delete()
            channel.close()
        },
    ]
}

// What is wrong with --outdir, or null. An earlier run's results are only updated by -resume, a user's files never touched.
// What a download has left there is gone on with, or is the input.
def outdirError(outdir, List methods, resumed, isOfSeries) {
    if (!isWritable(outdir.toString())) {
        return "--outdir ${outdir} cannot be written; name a folder that can"
    }
    def folder = file(outdir, glob: false)
    def passed = ['pipeline_info'] + (isOfSeries && folder.resolve('download').exists() ? ['download', 'dicom'] : [])
    def there = folder.exists() ? folder.list().findAll { name -> !(name in passed) } : []
    if (!there) {
        return null
    }
    // DICOM and volumes on request are published as they are made, so a run that ended early may have left them
    def begun = folder.resolve('pipeline_info').exists() && there.every { name -> name in ['dicom', 'download'] || (name in methods && folder.resolve(name).list().every { inner -> inner == 'volumes' }) }
    if (resumed && begun) {
        return null
    }
    if (!folder.resolve('pipeline_info/complete.json').exists()) {
        return "--outdir ${outdir} holds files that are not of this pipeline (${there.toSorted()[0]}, …); name a new or empty folder"
    }
    if (contractOf(folder) != ownContract()) {
        return "--outdir ${outdir} holds the results of another version of ct4bench (contract of outputs ${contractOf(folder)}, this one's is ${ownContract()}), some of whose files have other names (docs/renames.csv); name a new folder, or move the old results away"
    }
    return resumed ? null : "--outdir ${outdir} holds the results of an earlier run; add -resume to update them, or name another folder"
}

// Version of the contract that a folder of results was written by: 1 is that of 0.1.0, which does not say so. A stub run's
// mark is empty.
def contractOf(folder) {
    def mark = folder.resolve('pipeline_info/complete.json')
    return mark.size() ? (new groovy.json.JsonSlurper().parseText(mark.text).contract ?: 1) : ownContract()
}

def ownContract() {
    def found = file("${projectDir}/bin/ct4bench/core/contract.py").text =~ /(?m)^CONTRACT_VERSION = (\d+)$/
    return found[0][1] as int
}

// Without a container engine, tasks use the packages of .venv or of the python3 on PATH.
def softwareError(workflow) {
    if (workflow.containerEngine || file("${projectDir}/.venv/bin/python3").exists() || workflow.stubRun) {
        return null
    }
    def names = ['numpy', 'pandas', 'SimpleITK', 'pydicom', 'radiomics', 'torch', 'numba', 'umap']
    def lacking = names.findAll { name -> ['python3', '-c', "import importlib.util, sys; sys.exit(importlib.util.find_spec('${name}') is None)"].execute().waitFor() != 0 }
    return lacking ? "the python3 on PATH lacks ${lacking.join(', ')}; run 'make setup', or choose a container profile (docs/running.md)" : null
}
