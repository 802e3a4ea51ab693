// The digital twin: its tables, and what it is asked for.

// Tables of assets/twin/.
def twinTables(List names) {
    return names.collect { name -> file("${projectDir}/assets/twin/${name}.csv") }
}

// Options of simulate_series.py.
def twinChoice(settings) {
    return [
        doses: settings.twin_doses,
        reconstructions: settings.twin_reconstructions,
        repetitions: settings.twin_repetitions,
        other_reconstructions: settings.twin_other_reconstructions,
        other_repetitions: settings.twin_other_repetitions,
        other_scanners: settings.twin_other_scanners,
        other_series: settings.twin_other_series,
        seed: settings.seed,
    ]
}

// What SIMULATE_SERIES reads beside the phantom.
def scannerTables() {
    return twinTables(['scanners', 'reconstructions', 'noise', 'couches', 'odd_series'])
}

// What the twin is asked for: [[scanner, maker, dose_mgy, recon, number of repetitions], ...] as maps.
def twinSeries(settings) {
    def (tables, made) = twinTables(['scanners', 'noise']).collect { table -> table.splitCsv(header: true, quote: '"') }
    def makers = tables.collectEntries { row -> [row.scanner, row.maker] }
    def (names, wide, doses) = [settings.twin_scanners, settings.twin_other_scanners, settings.twin_doses].collect { list -> list.toString().tokenize(',').toUnique() }
    return [names, doses].combinations().findAll { name, dose -> dose == '10' || name in wide }.collectMany { name, dose ->
        def recons = dose == '10' ? settings.twin_reconstructions : settings.twin_other_reconstructions
        def n = dose == '10' ? settings.twin_repetitions : settings.twin_other_repetitions
        recons.toString().tokenize(',').toUnique()
            .findAll { recon -> made.any { row -> [row.scanner, row.recon, row.dose_mgy] == [name, recon, dose] } }
            .collect { recon -> [scanner: name, maker: makers[name], dose_mgy: dose, recon: recon, repetitions: n as int] }
    }
}

// --reference in parts: [scanner, dose_mgy, recon, repetition], or null where it is in another form.
def referenceParts(settings) {
    def named = settings.reference =~ /(?i)^\s*([A-H][12])\s+(\d+)\s*mGy\s+(FBP|IR|DL)(?:\s*#\s*(\d+))?\s*$/
    return named ? named[0].drop(1).collect { text -> text?.toUpperCase() } : null
}

// Why a run on the twin would end without results, which it would say only when all is simulated; null where it would not.
def twinError(settings) {
    def series = twinSeries(settings)
    def measured = series.findAll { row -> settings.feature_doses.toString().tokenize(',').any { dose -> (row.dose_mgy as BigDecimal).compareTo(dose as BigDecimal) == 0 } }
    def values = measured.collect { row -> row[settings.domain] }.toUnique()
    if (!measured) {
        return "the twin has no series at ${settings.feature_doses} mGy, where features are extracted: choose with --feature_doses, or simulate others with --twin_doses and --twin_other_scanners"
    }
    if (values.size() < 2) {
        return "all series of the twin at ${settings.feature_doses} mGy have ${settings.domain} ${values[0]}; leaving one out takes two ${settings.domain} values: simulate others, or compare another factor with --domain"
    }
    if (settings.in_parts) {
        def reference = referenceParts(settings)
        if (!reference) {
            return "--in_parts makes the reference before all others, so --reference ${settings.reference} must be as in 'A1 10mGy IR #1'"
        }
        def (scanner, dose, recon, repetition) = reference
        def odd = twinTables(['odd_series'])[0].splitCsv(header: true, quote: '"')
        def lacks = odd.any { row -> [row.scanner, row.dose_mgy, row.recon, row.repetition, row.n_slices] == [scanner, dose, recon, repetition ?: '1', '0'] }
        if (lacks || (dose != '10' && settings.twin_other_series == 'table6') || !series.any { row -> [row.scanner, row.dose_mgy, row.recon] == [scanner, dose, recon] && row.repetitions >= ((repetition ?: '1') as int) }) {
            return "--reference ${settings.reference} is not among the series that this run simulates; name another, or give others by --twin_scanners, --twin_doses, --twin_reconstructions and --twin_repetitions"
        }
    }
    return null
}

// Scanner and options of simulate_series.py of the one series that the others are registered to.
def referenceChoice(settings) {
    def (scanner, dose, recon, repetition) = referenceParts(settings)
    def n = (repetition ?: '1') as int
    return [scanner, twinChoice(settings) + [doses: dose, reconstructions: recon, repetitions: n, other_reconstructions: recon, other_repetitions: n, other_scanners: scanner, other_series: 'all']]
}
