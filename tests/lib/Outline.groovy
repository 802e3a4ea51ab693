import groovy.io.FileType
import groovy.json.JsonOutput
import java.math.MathContext

/**
 * What a snapshot keeps of outputs: names of files and folders, and CSV tables with numbers rounded to six digits; of
 * tasks, how many of each process. tests/nf_cases.py does the same in Python; no digest of bytes that a library's
 * version may change.
 */
class Outline {

    // items of a channel come in the order in which tasks end, so they are sorted
    static Map of(outputs) {
        return outputs.findAll { name, _value -> !(name.toString() ==~ /\d+/) }
            .sort()
            .collectEntries { name, items -> [name, plain(items).sort { item -> JsonOutput.toJson(item) }] }
    }

    static Map tasks(trace) {
        return trace.tasks().countBy { task -> task.name.tokenize(' ')[0].tokenize(':').last() }.sort()
    }

    // files below a folder; of CSV tables the columns and the number of rows, of `tables` all rows
    static List results(String folder, List tables) {
        def found = []
        new File(folder).eachFileRecurse(FileType.FILES) { file -> found << file.path.substring(folder.size() + 1) }
        return found.findAll { name -> !(name ==~ /pipeline_info\/(trace|timeline|dag)_.*/) }
            .sort()
            .collect { name -> ofResult(new File(folder, name), name, name in tables) }
    }

    static Object ofResult(File file, String name, boolean whole) {
        if (!name.endsWith('.csv') || !file.length()) {
            return name
        }
        def rows = ofFile(file).rows
        return whole ? [table: name, rows: rows] : [table: name, columns: rows[0], n_rows: rows.size() - 1]
    }

    static Object plain(value) {
        if (value instanceof Map) {
            return value.sort().collectEntries { key, item -> [key, plain(item)] }
        }
        if (value instanceof Collection) {
            return value.collect { item -> plain(item) }
        }
        def file = value instanceof CharSequence && value.toString().startsWith('/') ? new File(value.toString()) : null
        return file == null ? value : file.exists() ? ofFile(file) : file.name
    }

    static Object ofFile(File file) {
        if (file.isDirectory()) {
            return [folder: file.name, files: file.list().sort()]
        }
        if (!file.name.endsWith('.csv')) {
            return file.name
        }
        def lines = file.readLines('UTF-8')
        // no time is the same twice
        if (lines && lines[0].endsWith(',cpu_s')) {
            lines = lines.take(1) + lines.drop(1).collect { line -> line.substring(0, line.lastIndexOf(',')) + ',time' }
        }
        return [table: file.name, rows: lines.collect { line -> line.split(',', -1).collect { cell -> rounded(cell) }.join(',') }]
    }

    static String rounded(String cell) {
        if (!(cell ==~ /-?\d+\.\d+([eE][-+]?\d+)?/)) {
            return cell
        }
        def number = new BigDecimal(cell).round(new MathContext(6))
        return number.signum() == 0 ? '0' : number.stripTrailingZeros().toString()
    }
}
