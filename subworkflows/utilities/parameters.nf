// Parameters against nextflow_schema.json, before any task: unknown names, types, limits, choices, files that must exist.

include { pathError     } from './files'
include { reservedNames } from './methods'

def schemaParameters(schemaFile) {
    def groups = new groovy.json.JsonSlurper().parse(schemaFile.toFile())['$defs']
    return groups.values().inject([:]) { all, group -> all + group.properties }
}

def parameterErrors(Map given, schemaFile, String commandLine, containerEngine) {
    def known = schemaParameters(schemaFile)
    return given.findAll { _name, value -> value != null }
        .collect { name, value -> parameterError(name.toString(), value, known, commandLine, containerEngine) }
        .findAll { message -> message } + phantomErrors(given) + broughtErrors(given, known, containerEngine)
}

// What was harmonized elsewhere, NAME=PLACE,NAME=PLACE: that it is there, as far as names can tell. The name of the feature
// set, rows and columns, and series are looked at as soon as the run knows its own.
def broughtErrors(Map given, Map known, containerEngine) {
    return ['harmonized_features', 'harmonized_volumes'].findAll { option -> given[option] && given[option].toString() ==~ known[option].pattern }.collectMany { option ->
        def items = given[option].toString().tokenize(',').collect { item -> [item.substring(0, item.indexOf('=')), item.substring(item.indexOf('=') + 1)] }
        def twice = items.countBy { name, place -> option == 'harmonized_volumes' ? [name] : [name, file(place, glob: false).baseName] }.find { _key, n -> n > 1 }?.key
        def again = !twice ? [] : twice.size() == 1
            ? ["--${option} has two folders called ${twice[0]}; give each a NAME of its own"]
            : ["--${option} has two tables of the feature set ${twice[1]} called ${twice[0]}; give each a NAME of its own"]
        items.collect { name, place -> placeFault(option, name, place, containerEngine) }.findAll { fault -> fault } + again
    }
}

def placeFault(String option, String name, String place, containerEngine) {
    def wrong = pathError(place, containerEngine)
    def found = wrong ? null : file(place, glob: false)
    def said = "--${option} ${name}=${place}"
    if (wrong) {
        return "${said} ${wrong}"
    }
    if (name in reservedNames() || name.size() > 40) {
        return "${said}: ${name} ${name.size() > 40 ? 'has more than 40 signs' : 'has a meaning of its own in a run and its results'}; give another NAME, such as ${name.take(20)}_elsewhere"
    }
    if (!found.exists()) {
        return "${said} does not exist"
    }
    if (option == 'harmonized_features') {
        return found.isDirectory() ? "${said} is a folder; name the table in it, <feature set>.parquet or .csv" :
            found.extension in ['parquet', 'csv'] ? null : "${said} is no .parquet and no .csv; give a table of features as <feature set>.parquet"
    }
    if (!found.isDirectory()) {
        return "${said} is not a folder; give one with a NIfTI <series UID>.nii.gz, or a folder <series UID> of DICOM slices, for every series"
    }
    def holds = found.listFiles().any { item -> item.isDirectory() && !item.name.startsWith('.') || item.name ==~ /.+\.nii(\.gz)?/ }
    return holds ? null : "${said} holds no volume; give a NIfTI <series UID>.nii.gz, or a folder <series UID> of DICOM slices, for every series"
}

// The twin is of one phantom; another one is in the user's own input.
def phantomErrors(Map given) {
    return ['phantom', 'mask']
        .findAll { name -> given[name] != null && !given.input && !given.download && !(name == 'phantom' && given.features) }
        .collect { name -> "--${name} is of series of your own; give their folder by --input, or --download them" }
}

// The parameters as the workflow reads them: texts are texts, and what has no value has its default.
def settingsOf(Map given, schemaFile) {
    return given + schemaParameters(schemaFile).collectEntries { name, rule ->
        def value = given[name] == null ? rule['default'] : given[name]
        [name, value != null && rule.type == 'string' ? value.toString() : value]
    }
}

// The engine makes numbers of texts, and 012345 comes back as 12345: what does not is refused.
def arrivalError(String name, value, Map rule, String commandLine) {
    if (!(value instanceof Number) || rule.type != 'string') {
        return null
    }
    def words = commandLine.tokenize(' =')
    def at = words.lastIndexOf("--${name}".toString())
    def typed = at >= 0 && at + 1 < words.size() ? words[at + 1].replaceAll(/^['"]|['"]$/, '') : null
    if (typed && typed != value.toString()) {
        return "--${name} ${typed} would arrive as the number ${value}; give it in quotes in a -params-file"
    }
    return !typed && rule.verbatim ? "${name} is the number ${value} in a file of parameters; give it in quotes" : null
}

// The name of today of a parameter of an earlier version, with its dashes; null where it was none.
def newName(String name) {
    def rows = file("${projectDir}/docs/renames.csv").readLines().collect { line -> line.split(',', -1) }
    return rows.find { row -> row[0] == 'parameter' && row[2] == "--${name}".toString() }?.getAt(3)
}

def parameterError(String name, value, Map known, String commandLine, containerEngine) {
    def rule = known[name]
    if (!rule) {
        if (newName(name)) {
            return "--${name} is now ${newName(name)} (docs/renames.csv)"
        }
        // Nextflow also passes --chunk-size as chunkSize; the name as typed is the one to speak of
        def near = known.keySet().toList().closest(name.replaceAll(/([a-z])([A-Z])/, '$1_$2').toLowerCase())
        return "--${name} is not a parameter" + (near ? "; nearest: --${near.join(', --')}" : '; --help lists all')
    }
    return typeError(name, value, rule) ?: arrivalError(name, value, rule, commandLine) ?: limitError(name, value, rule) ?: fileError(name, value, rule, containerEngine)
}

def typeError(String name, value, Map rule) {
    def wanted = [rule.type].flatten()
    def kind = value instanceof Boolean ? 'boolean' : value instanceof Integer || value instanceof Long ? 'integer' : value instanceof Number ? 'number' : 'string'
    def fits = kind in wanted || (kind == 'integer' && 'number' in wanted) || (kind in ['integer', 'number'] && 'string' in wanted)
    if (fits) {
        return null
    }
    if (kind == 'boolean') {
        return "--${name} needs a value (${wanted.join(' or ')})${hint(rule)}"
    }
    return "--${name} must be of type ${wanted.join(' or ')}, not '${value}'${hint(rule)}"
}

def limitError(String name, value, Map rule) {
    if (rule['enum'] && !(value in rule['enum'])) {
        def near = rule['enum'].collect { choice -> choice.toString() }.closest(value.toString())
        return "--${name} must be one of ${rule['enum'].join(', ')}, not '${value}'" + (near ? "; nearest: ${near.join(', ')}" : '')
    }
    if (rule.minimum != null && value < rule.minimum || rule.maximum != null && value > rule.maximum) {
        return "--${name} must be ${range(rule)}, not ${value}"
    }
    if (rule.pattern && !(value.toString() ==~ rule.pattern)) {
        return "--${name} '${value}' has not the right form: ${rule.description}"
    }
    return null
}

def fileError(String name, value, Map rule, containerEngine) {
    if (!(rule.format in ['file-path', 'directory-path'])) {
        return null
    }
    def wrong = pathError(value.toString(), containerEngine)
    if (wrong) {
        return "--${name} ${value} ${wrong}"
    }
    if (!rule.exists) {
        return null
    }
    def paths = rule.list ? value.toString().tokenize(',') : [value.toString()]
    def bad = paths.find { item -> !file(item, glob: false).exists() }
    if (bad) {
        return "--${name} ${bad} does not exist"
    }
    def noFile = rule.format == 'file-path' ? paths.find { item -> file(item, glob: false).isDirectory() } : null
    if (noFile) {
        return "--${name} ${noFile} is a folder; name the file in it"
    }
    def noFolder = rule.format == 'directory-path' ? paths.find { item -> !file(item, glob: false).isDirectory() } : null
    return noFolder ? "--${name} ${noFolder} is not a folder" : null
}

def range(Map rule) {
    if (rule.minimum != null && rule.maximum != null) {
        return "${rule.minimum} to ${rule.maximum}"
    }
    return rule.minimum != null ? "at least ${rule.minimum}" : "at most ${rule.maximum}"
}

def hint(Map rule) {
    def limits = rule['enum'] ? "one of ${rule['enum'].join(', ')}" : rule.minimum != null || rule.maximum != null ? range(rule) : rule.description
    return limits ? ": ${limits}" : ''
}

def helpText(schemaFile) {
    def groups = new groovy.json.JsonSlurper().parse(schemaFile.toFile())['$defs']
    def body = groups.values().collect { group ->
        def lines = group.properties.findAll { _name, rule -> !rule.hidden }.collect { name, rule ->
            def limits = rule['enum'] ? " [${rule['enum'].join('|')}]" : rule.minimum != null || rule.maximum != null ? " [${range(rule)}]" : ''
            def standard = rule['default'] != null && rule['default'] != '' ? " (default: ${rule['default']})" : ''
            "  --${name.padRight(30)} ${rule.description}${limits}${standard}"
        }
        "${group.title}\n${lines.join('\n')}"
    }
    return "ct4bench: the CT4Harmonization benchmark, from DICOM to its tables and figures\n\n" +
        "  nextflow run . --input DIR --outdir DIR        on DICOM of the collection or of a phantom of your own\n" +
        "  nextflow run . --download idc --outdir DIR     on the collection, fetched from the Imaging Data Commons\n" +
        "  nextflow run . --outdir DIR                    on the embedded digital twin\n" +
        "  nextflow run . -profile demo                   on the demo data set\n\n" + body.join('\n\n')
}
