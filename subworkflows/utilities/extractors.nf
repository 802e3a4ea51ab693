// The extractors that the benchmark knows: assets/extractors.yaml, which scripts read as well.

def knownExtractors() {
    return new org.yaml.snakeyaml.Yaml().load(file("${projectDir}/assets/extractors.yaml").text)
}

// Region -> extractor of its radiomics; whole ROIs have a table of their own.
def regionExtractors(Map settings) {
    return knownExtractors()
        .findAll { _name, entry -> entry.region && settings.region in [entry.region, 'both'] }
        .collectEntries { name, entry -> [entry.region, name] }
}

// Whether classifiers and embeddings take it, too, or stability alone.
def isClassified(extractor) {
    return knownExtractors()[extractor.toString()]?.classified != false
}

// Whether it has a row for each patch, or one for each ROI.
def isByPatch(extractor) {
    return knownExtractors()[extractor.toString()]?.by_patch != false
}
