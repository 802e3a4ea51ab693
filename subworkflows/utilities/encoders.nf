// The deep encoders of a run: those of assets/extractors.yaml, and the user's own of --extractors.

include { codeDigest      } from './code'
include { knownExtractors } from './extractors'

def deepEncoders(Map settings) {
    def shipped = knownExtractors().findAll { _name, entry -> entry.module }
    def own = namedPlaces(settings.extractors)
    def weights = namedPlaces(settings.extractor_weights)
    def wrong = encoderError(own, weights, shipped)
    if (wrong) {
        error("Wrong parameters:\n  ${wrong}")
    }
    return shipped.collect { name, entry -> shippedEncoder(name, entry, weights, settings) } + own.collect { name, source ->
        [
            name: name, module: null, code: codeFile(source) ? file(codeFile(source)) : [], source: stagedSource(source),
            weights: weights[name] ? file(weights[name]) : [], options: [intensity: settings.extractor_intensity], entry: null,
        ]
    }
}

// Its weights are those that the run names, else the default file of the project, else drawn from the seed.
def shippedEncoder(String name, Map entry, Map weights, Map settings) {
    def given = entry.weights?.parameter ? settings[entry.weights.parameter] : weights[name]
    def place = given ?: (entry.weights?.file ? "${projectDir}/${entry.weights.file}" : null)
    return [
        name: name, module: entry.module, source: null, code: [], weights: place ? file(place) : [],
        options: (entry.options ?: [:]).collectEntries { option, parameter -> [option, settings[parameter]] }, entry: entry,
    ]
}

// 'a=x,b=y' -> [a: x, b: y]
def namedPlaces(text) {
    return (text ?: '').toString().tokenize(',').collectEntries { item -> [item.substring(0, item.indexOf('=')), item.substring(item.indexOf('=') + 1)] }
}

def encoderError(Map own, Map weights, Map shipped) {
    def taken = own.keySet().find { name -> name in shipped || name.startsWith('radiomics') }
    if (taken) {
        return "--extractors ${taken}=…: that name is the benchmark's; choose another one"
    }
    def alone = weights.keySet().find { name -> !own.containsKey(name) && !shipped[name] }
    if (alone) {
        return "--extractor_weights ${alone}=… names no encoder of --extractors"
    }
    def elsewhere = weights.keySet().find { name -> shipped[name]?.weights?.parameter }
    if (elsewhere) {
        return "--extractor_weights ${elsewhere}=…: its weights are named by --${shipped[elsewhere].weights.parameter}"
    }
    def formless = own.find { _name, source -> !codeFile(source) && !(source ==~ /[\w.]+:\w+/) }
    if (formless) {
        return "--extractors ${formless.key}=${formless.value}: give module:function, file.py:function or settings.yaml"
    }
    def places = own.values().collect { source -> codeFile(source) }.findAll { place -> place } + weights.values()
    def absent = places.find { place -> !file(place, glob: false).exists() }
    return absent ? "${absent} of --extractors or --extractor_weights does not exist" : null
}

// The file that an encoder is made from: settings.yaml, or the Python file of file.py:function; null for a module.
def codeFile(String source) {
    return source ==~ /.*\.ya?ml/ ? source : source ==~ /.*\.py:\w+/ ? source.substring(0, source.lastIndexOf(':')) : null
}

// The same source as a task sees it, with its file in code/.
def stagedSource(String source) {
    def place = codeFile(source)
    return place ? "code/${file(place).name}${source.substring(place.size())}".toString() : source
}

// What must run again: a change of the script's modules, of the module that holds the encoder, or of its entry in the list.
// Modules and entries of other encoders are none of it.
def encoderDigest(encoder) {
    def dotted = encoder.module ?: (encoder.source && !encoder.code ? encoder.source.tokenize(':')[0] : null)
    def module = dotted ? "${dotted.replace('.', '/')}.py".toString() : null
    def here = module && file("${projectDir}/bin/${module}").exists()
    return codeDigest('extract_deep.py') + (here ? codeDigest(module) : '') + (encoder.entry ? encoder.entry.toString().digest('SHA-256') : '')
}
