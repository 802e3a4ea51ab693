// Nextflow does not see a change inside a folder that is an input; a digest over its files' names, sizes and times does.
def fingerprint(folder) {
    def prefix = folder.toString().size()
    def lines = files("${folder}/**", type: 'file').collect { f -> "${f.toString().substring(prefix)} ${f.size()} ${f.lastModified()}" }
    return lines.toSorted().join('\n').digest('SHA-256')
}

// The nearest folder above a path that exists, to see whether the path can be made.
def nearestFolder(path) {
    return path.exists() ? path : nearestFolder(path.parent)
}

def isWritable(String path) {
    def place = nearestFolder(file(path).toAbsolutePath())
    return place.isDirectory() && java.nio.file.Files.isWritable(place)
}

// A text as one word of a shell command.
def shellQuote(text) {
    return "'" + text.toString().replace("'", "'\\''") + "'"
}

// Lines that lay staged files into the folder `root`, each in the place that is named for it.
def layFiles(String root, List places, List paths) {
    return [places, paths].transpose().groupBy { place, _path -> place }
        .collect { place, items -> "mkdir -p '${root}/${place}' && mv ${items.collect { item -> item[1] }.join(' ')} '${root}/${place}'" }
        .join('\n')
}
