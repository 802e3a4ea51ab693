// The description of a phantom of the user's own, or [].
def phantomFile(Map settings) {
    return settings.phantom ? file(settings.phantom) : []
}

// Nextflow does not see a change inside a folder that is an input; a digest over its files' names, sizes and times does.
def fingerprint(folder) {
    return survey(folder)[1]
}

// How many files lie below a folder, and their digest.
def survey(folder) {
    def prefix = folder.toString().size()
    def found
    try {
        found = filesBelow(folder, [] as Set)
    }
    catch (java.nio.file.InvalidPathException problem) {
        error("a name below ${folder} cannot be read in this locale (${problem.message}); start the engine with LC_ALL=C.UTF-8")
    }
    def lines = found.collect { f -> "${f.toString().substring(prefix)} ${f.size()} ${f.lastModified()}" }
    return [lines.size(), lines.toSorted().join('\n').digest('SHA-256')]
}

// All files below a folder, whatever names mean as patterns; links are followed, each folder once, and broken ones left out.
def filesBelow(folder, Set seen) {
    if (!seen.add(folder.toRealPath())) {
        return []
    }
    def entries = java.nio.file.Files.newDirectoryStream(folder).withCloseable { stream -> stream.toList() }
    return entries.toSorted { a, b -> a.toString() <=> b.toString() }.collectMany { entry ->
        entry.isDirectory() ? filesBelow(entry, seen) : entry.isFile() ? [entry] : []
    }
}

// What the engine cannot stage or quote in a path, or null: it takes some signs for patterns, and the shell for its own.
def pathError(String path, containerEngine) {
    def bad = path.find(/[$*?\[\]"`\\\p{Cntrl}]|\{[^{}]*(,|\.\.)[^{}]*\}/)
    if (bad) {
        return "has ${bad} in its path, which the engine cannot quote; rename that folder or file, or link to it under another name"
    }
    def bound = containerEngine ? path.find(containerEngine in ['apptainer', 'singularity'] ? /[:,]/ : /:/) : null
    return bound ? "has ${bound} in its path, which ${containerEngine} cannot mount; rename that folder, or run without a container" : null
}

// The nearest folder above a path that exists, to see whether the path can be made.
def nearestFolder(path) {
    return path.exists() ? path : nearestFolder(path.parent)
}

def isWritable(String path) {
    def place = nearestFolder(file(path, glob: false).toAbsolutePath())
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

// 'root/folder' of the index -> the folder itself; `roots` are the roots' own paths
def folderOf(String place, roots) {
    def name = place.tokenize('/')[0]
    def root = roots.find { folder -> folder.name == name }
    if (!root) {
        error("--index is of a folder ${name}, which is not among this run's input (${roots.collect { folder -> folder.name }.join(', ')}); name the index of the same input, or leave --index out")
    }
    def rest = place.substring(name.size()).replaceAll('^/+', '')
    return rest ? root.resolve(rest) : root
}

// one digest over several folders, each looked at once in a run
def fingerprints(folders, seen) {
    return folders.collect { folder -> seen.computeIfAbsent(folder, { place -> fingerprint(place) }) }.join(' ').digest('SHA-256')
}
