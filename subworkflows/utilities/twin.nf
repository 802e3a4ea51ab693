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

// Scanner and options of simulate_series.py of the one series that the others are registered to: one of the run's own,
// since a run that cannot find it in the index of all would say so only when all is simulated.
def referenceChoice(settings) {
    def named = settings.reference =~ /(?i)^\s*([A-H][12])\s+(\d+)\s*mGy\s+(FBP|IR|DL)(?:\s*#\s*(\d+))?\s*$/
    if (!named) {
        error("--in_parts makes the reference before all others, so --reference ${settings.reference} must be as in 'A1 10mGy IR #1'")
    }
    def (_all, scanner, dose, recon, repetition) = named[0].collect { text -> text?.toUpperCase() }
    def n = (repetition ?: '1') as int
    def main = dose == '10'
    def wanted = [
        [settings.twin_scanners, scanner], [settings.twin_doses, dose], [main ? scanner : settings.twin_other_scanners, scanner],
        [main ? settings.twin_reconstructions : settings.twin_other_reconstructions, recon],
    ]
    if (n > (main ? settings.twin_repetitions : settings.twin_other_repetitions) || wanted.any { list, name -> !(name in list.toString().tokenize(',')) }) {
        error("--reference ${settings.reference} is not among the series that this run simulates; name another, or give others by --twin_scanners, --twin_doses, --twin_reconstructions and --twin_repetitions")
    }
    return [scanner, twinChoice(settings) + [doses: dose, reconstructions: recon, repetitions: n, other_reconstructions: recon, other_repetitions: n, other_scanners: scanner, other_series: 'all']]
}
