// The deep encoders of a run: the two of the paper, and the user's own of --extractors.

include { codeDigest } from './code'

def deepEncoders(Map settings) {
    def standIn = file("${projectDir}/assets/shallow_cnn_standin.safetensors")
    def published = [
        [
            name: 'swin_unetr', source: null, code: [],
            weights: settings.swinunetr_weights ? file(settings.swinunetr_weights) : [],
            options: [
                weights_sha256: settings.swinunetr_weights_sha256, intensity: settings.swinunetr_intensity,
                layer: settings.swinunetr_layer, pooling: settings.swinunetr_pooling, patch_merging: settings.swinunetr_patch_merging,
            ],
        ],
        [
            name: 'shallow_cnn', source: null, code: [],
            weights: settings.shallow_cnn_weights ? file(settings.shallow_cnn_weights) : standIn,
            options: [weights_sha256: settings.shallow_cnn_weights_sha256],
        ],
    ]
    def own = namedPlaces(settings.extractors)
    def weights = namedPlaces(settings.extractor_weights)
    def wrong = encoderError(own, weights, published.collect { encoder -> encoder.name })
    if (wrong) {
        error("Wrong parameters:\n  ${wrong}")
    }
    return published + own.collect { name, source ->
        [
            name: name, code: codeFile(source) ? file(codeFile(source)) : [], source: stagedSource(source),
            weights: weights[name] ? file(weights[name]) : [], options: [intensity: settings.extractor_intensity],
        ]
    }
}

// 'a=x,b=y' -> [a: x, b: y]
def namedPlaces(text) {
    return (text ?: '').toString().tokenize(',').collectEntries { item -> [item.substring(0, item.indexOf('=')), item.substring(item.indexOf('=') + 1)] }
}

def encoderError(Map own, Map weights, List published) {
    def taken = own.keySet().find { name -> name in published || name.startsWith('radiomics') }
    if (taken) {
        return "--extractors ${taken}=…: that name is the benchmark's; choose another one"
    }
    def alone = weights.keySet().find { name -> !own.containsKey(name) }
    if (alone) {
        return "--extractor_weights ${alone}=… names no encoder of --extractors"
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

// What a change of code must run again: the script's modules, and a module of the package that holds the encoder.
def encoderDigest(encoder) {
    def module = encoder.source && !encoder.code ? "${encoder.source.tokenize(':')[0].replace('.', '/')}.py".toString() : null
    def here = module && file("${projectDir}/bin/${module}").exists()
    return codeDigest('extract_deep.py') + (here ? codeDigest(module) : '')
}
