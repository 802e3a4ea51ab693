// The harmonization methods of a run: the folders of methods/ and --method_folders that --methods names, and what
// --harmonized_features and --harmonized_volumes bring. A variant has the name method.variant.

// The texts of a constant of the scripts (bin/ct4bench/core/benchmark.py), which stand in one line.
def benchmarkTexts(String constant) {
    def found = file("${projectDir}/bin/ct4bench/core/benchmark.py").text.readLines().find { line -> line.startsWith("${constant} = ") }
    return (found =~ /"(\w+)"/).collect { match -> match[1].toString() }
}

// The method that leaves images and features as they are; every other one is compared with it.
def noMethod() {
    return benchmarkTexts('NO_METHOD')[0]
}

// Names that no other method can have: words of --methods, and what else lies in a folder of results.
def reservedNames() {
    return benchmarkTexts('METHOD_WORDS') + benchmarkTexts('RESULT_FOLDERS')
}

// What a folder's method.yml says. The scripts check it (harmonization/methods.py); here it only says what is to be run.
def declarationOf(folder) {
    def place = folder.resolve('method.yml')
    try {
        def plain = new org.yaml.snakeyaml.Yaml(new org.yaml.snakeyaml.constructor.SafeConstructor(new org.yaml.snakeyaml.LoaderOptions()))
        def found = plain.load(place.text)
        if (found instanceof Map) {
            return found
        }
        error("${place} is not a mapping; write it as docs/methods.md says")
    }
    catch (org.yaml.snakeyaml.error.YAMLException | java.nio.charset.CharacterCodingException problem) {
        def mark = problem instanceof org.yaml.snakeyaml.error.MarkedYAMLException ? problem.problemMark : null
        def words = mark ? "line ${mark.line + 1}: ${problem.problem}" : problem.message.readLines()[0]
        error("${place} is not YAML (${words}); write it as docs/methods.md says")
    }
}

// A folder is a method, or holds methods: [folder of each, ...] by name.
def methodsIn(folder) {
    if (folder.resolve('method.yml').exists()) {
        return [folder]
    }
    def found = folder.exists() ? folder.listFiles().findAll { place -> place.resolve('method.yml').exists() } : []
    return found.toSorted { a, b -> a.name <=> b.name }
}

// A digest over the files of a method's folder: the engine sees no change inside a folder.
def methodDigest(folder) {
    def found = []
    folder.eachFileRecurse { path ->
        if (path.isFile() && !path.toString().contains('__pycache__')) {
            found << "${folder.relativize(path)} ${java.security.MessageDigest.getInstance('SHA-256').digest(path.bytes).encodeHex()}".toString()
        }
    }
    return found.toSorted().join('\n').digest('SHA-256')
}

// All variants of the folders, by name, in order: [name, folder, shipped, level, information, learns, n, default].
def knownVariants(Map settings) {
    def own = methodsIn(file("${projectDir}/methods")).collect { folder -> [folder, true] }
    def given = (settings.method_folders ?: '').toString().tokenize(',').collectMany { place ->
        def inside = methodsIn(file(place, glob: false).toAbsolutePath())
        if (!inside) {
            error("--method_folders ${place} holds no method: neither it nor a folder in it has a method.yml")
        }
        inside.collect { folder -> [folder, false] }
    }
    def reserved = given.collect { folder, _shipped -> folder }.find { folder -> folder.name in reservedNames() + noMethod() }
    if (reserved) {
        error("${reserved}: ${reserved.name} has a meaning of its own in a run and its results; call the folder, and the method in its method.yml, otherwise, such as ${reserved.name}_mine")
    }
    def twice = (own + given).groupBy { folder, _shipped -> folder.name }.find { _name, places -> places.size() > 1 }
    if (twice) {
        def places = twice.value.collect { folder, shipped -> shipped ? "${folder} (the project's own)" : folder }
        error("there are ${places.size()} methods called ${twice.key}: ${places.join(' and ')}; give yours another name (the folder's and that in method.yml)")
    }
    return (own + given).toSorted { a, b -> a[0].name <=> b[0].name }.collectMany { folder, shipped ->
        def declared = declarationOf(folder)
        if (!(declared.level in ['feature', 'image', 'patch'])) {
            error("${folder}/method.yml: level ${declared.level == null ? 'is missing' : "is ${declared.level}"}; it is feature, image or patch; write it as docs/methods.md says")
        }
        def variants = ['': [:]] + (declared.variants instanceof Map ? declared.variants : [:])
        variants.collect { variant, own_values ->
            def values = declared + (own_values instanceof Map ? own_values.subMap(['information', 'calibration_series']) : [:])
            [
                name: variant ? "${folder.name}.${variant}".toString() : folder.name, folder: folder, shipped: shipped,
                // who gets patches has volumes, too
                level: values.level == 'patch' ? 'image' : values.level.toString(),
                // scans of a target that it is given
                adaptation: [transductive: 'half', calibration: (values.calibration_series ?: 0).toString()][values.information.toString()],
                max_minutes: values.max_minutes, max_gb: values.max_gb,
                learns: values.learns.toString(), image: (declared.image ?: 'imaging').toString(), role: (declared.role ?: 'method').toString(), information: values.information.toString(), usual: variant.toString() in (declared['default'] ?: []),
            ]
        }
    }
}

// What a fold gives a method of its target. Volumes were mapped before the folds, with all their tissues: a fold gives
// nothing, and half of the target is left untested all the same.
def givenInFolds(Map method) {
    return method.level == 'image' && method.adaptation == 'half' ? '0' : method.adaptation
}

// Whether every fold needs volumes of its own.
def isPooledOfImages(Map variant) {
    return variant.level == 'image' && variant.learns == 'pooled'
}

// Methods that `all` does not stand for, since each fold is a fit and volumes of its own: they run where they are named.
def leftOutOfAll(Map settings) {
    def words = settings.methods.toString().tokenize(',')
    return 'all' in words ? knownVariants(settings).findAll { variant -> isPooledOfImages(variant) && !(variant.name in words) }.collect { variant -> variant.name } : []
}

// NAME=PLACE,NAME=PLACE -> [[NAME, file], ...]
def broughtPlaces(text) {
    return (text ?: '').toString().tokenize(',').collect { item -> [item.substring(0, item.indexOf('=')), file(item.substring(item.indexOf('=') + 1), glob: false).toAbsolutePath()] }
}

// The methods of a run, in order, the one that does nothing first:
// [name, level (blank: nothing is done; given: brought from elsewhere; leaky: features that `of` made of all rows), folder, shipped, adaptation, learns, tables, volumes].
def chosenMethods(Map settings) {
    def nothing = [name: noMethod(), level: '', folder: null, shipped: true, adaptation: null, learns: 'nothing', tables: [], volumes: null]
    def isAlone = settings.methods.toString() == nothing.name && !settings.harmonized_features && !settings.harmonized_volumes
    def known = isAlone ? [] : knownVariants(settings)
    def names = known.collect { variant -> variant.name }
    def chosen = settings.methods.toString().tokenize(',').collectMany { word ->
        if (word == 'all') {
            return known.findAll { variant -> !isPooledOfImages(variant) }
        }
        if (word == 'default') {
            return known.findAll { variant -> variant.usual && !isPooledOfImages(variant) }
        }
        if (!(word in names) && word != nothing.name) {
            def near = names.closest(word)
            error("--methods ${word} is not known" + (near ? "; nearest: ${near.join(', ')}" : '') + "; there are ${([nothing.name] + names).join(', ')}, default and all for several, and those that --method_folders adds")
        }
        known.findAll { variant -> variant.name == word }
    }
    def wide = settings.max_disk ? chosen.find { variant -> isPooledOfImages(variant) } : null
    if (wide) {
        error("--methods ${wide.name}: it keeps volumes of each fold, for which --max_disk leaves no room; leave out one of the two")
    }
    def tables = broughtPlaces(settings.harmonized_features).groupBy { name, _place -> name }
    def volumes = broughtPlaces(settings.harmonized_volumes).groupBy { name, _place -> name }
    def places = tables + volumes
    def taken = places.keySet().find { name -> name == nothing.name || known.any { variant -> variant.name == name } || (tables[name] && volumes[name]) }
    if (taken) {
        def whose = tables[taken] && volumes[taken] ? 'of a table and of a folder of volumes' : "that of a method (${([nothing.name] + known.collect { variant -> variant.name.tokenize('.')[0] }).toUnique().join(', ')})"
        error("${tables[taken] ? '--harmonized_features' : '--harmonized_volumes'} ${taken}=${places[taken][0][1]}: the name ${taken} is ${whose}; give another NAME, such as ${taken}_elsewhere")
    }
    def brought = tables.collect { name, items -> nothing + [name: name, level: 'given', tables: items.collect { item -> item[1] }] } +
        volumes.collect { name, items -> nothing + [name: name, level: 'given', volumes: items[0][1]] }
    // once, what a method shows that was fitted on all rows before they were divided
    def pooled = chosen.findAll { variant -> variant.level == 'feature' && variant.learns == 'pooled' && variant.role == 'method' && variant.information == 'inductive' }.take(1)
    def leaky = pooled.collect { variant -> nothing + [name: "${variant.name}.leaky".toString(), level: 'leaky', of: variant.name] }
    return ([nothing] + chosen.collect { variant -> nothing + variant } + leaky + brought).unique { method -> method.name }
}

// A method's own container, where it declares one by its digest, as a part of a task's meta.
def ownImage(Map method) {
    return (method.image ?: '').contains('@') ? [image: method.image] : [:]
}

// Whether a method has volumes of its own, or only features.
def hasImages(Map method) {
    return method.volumes || method.level in ['', 'image']
}

// The feature sets that a method has: those of the run, or of the tables that were brought.
def extractorsOf(Map method, List extractors) {
    return method.tables ? method.tables.collect { table -> table.baseName } : extractors
}

def methodNames(Map settings) {
    return chosenMethods(settings).collect { method -> method.name }
}
