// The download's settings, what is wrong with them, and how far it is.

// Rows of a table, as maps of texts by column.
def rowsOf(table) {
    return table.splitCsv(header: true, quote: '"')
}

// --download_parallel, or what the source is asked for at once by default (sources.py has the same).
def requestsAtOnce(Map settings) {
    return settings.download_parallel ?: [idc: 8, tcia: 2][settings.download]
}

// Parts of a stream that are on the disk at a time: one is registered while another comes (conf/base.config has the same).
def partsAtOnce(Map settings) {
    return requestsAtOnce(settings) == 1 ? 1 : 2
}

def downloadTable(Map settings) {
    return file(settings.download_table ?: "${projectDir}/assets/idc_series.csv")
}

// What is wrong with the parameters of a download together, or null.
def downloadError(Map given, Map settings, workDir) {
    def own = ['download_only', 'doses', 'scanners', 'reconstructions', 'repetitions', 'download_table', 'idc_endpoint', 'tcia_endpoint', 'download_parallel', 'max_disk']
    if (!settings.download) {
        def alone = own.find { name -> given[name] }
        return alone ? "--${alone} is of a download; add --download idc, or leave it out" : null
    }
    def other = ['input', 'features', 'twin_like'].find { name -> settings[name] }
    if (other) {
        return "--download ${settings.download} and --${other} are two inputs; name one of them"
    }
    if (settings.in_parts) {
        return "--in_parts divides --input or the twin; fetch with --download_only and run on the folder with --input --in_parts, or stream within --max_disk"
    }
    def kept = settings.max_disk ? ['download_only', 'publish_dicom', 'index'].find { name -> settings[name] } : null
    if (kept) {
        return "--max_disk deletes series when they are registered, which --${kept} does not go with; leave one of them out"
    }
    def place = [outdir: file(settings.outdir, glob: false).toAbsolutePath(), 'work-dir': workDir].find { _name, folder -> folder.scheme != 'file' }
    if (place) {
        return "--download writes into --outdir, so that --outdir and -work-dir must be folders of file systems that tasks see, not ${place.value.scheme}://; fetch with --download_only on a machine with a disk, and copy the folder"
    }
    return null
}

// Series and GB so far, the rate, and the time left; `done` has [part, missing.csv] of each task that ended.
def saidOf(List done, List parts, long since) {
    def ended = done.collect { part, _missing -> rowsOf(part) }.flatten()
    def all = parts.collect { part -> rowsOf(part) }.flatten()
    def lost = done.sum { _part, missing -> missing ? rowsOf(missing).size() : 0 }
    def (mb, total) = [ended, all].collect { rows -> rows.sum(0.0d) { row -> (row.size_mb as double) + (row.seg_size_mb as double) } }
    def seconds = Math.max(1, (System.currentTimeMillis() - since).intdiv(1000))
    def left = Math.round(seconds * (total - mb) / Math.max(mb, 1e-9d))
    def rest = left < 90 ? "${left} s" : left < 5400 ? "${left.intdiv(60)} min" : String.format('%.1f h', left / 3600d)
    def size = total < 1000 ? String.format('%.1f of %.1f MB', mb, total) : String.format('%.2f of %.2f GB', mb / 1000, total / 1000)
    return "Download: ${ended.size()} of ${all.size()} series${lost ? ", ${lost} given up" : ''}, ${size}, ${String.format('%.1f', mb / seconds)} MB/s, ${rest} left"
}
