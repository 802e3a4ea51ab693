import java.math.MathContext

/**
 * What a snapshot keeps of outputs: names of files and folders, and CSV tables with numbers rounded to six digits.
 * tests/nf_cases.py does the same in Python; no digest of bytes that a library's version may change.
 */
class Outline {

    static Map of(outputs) {
        return outputs.findAll { name, _value -> !(name.toString() ==~ /\d+/) }
            .sort()
            .collectEntries { name, value -> [name, plain(value)] }
    }

    static Object plain(value) {
        if (value instanceof Map) {
            return value.sort().collectEntries { key, item -> [key, plain(item)] }
        }
        if (value instanceof Collection) {
            return value.collect { item -> plain(item) }
        }
        def file = value instanceof CharSequence && value.toString().startsWith('/') ? new File(value.toString()) : null
        return file?.exists() ? ofFile(file) : value
    }

    static Object ofFile(File file) {
        if (file.isDirectory()) {
            return [folder: file.name, files: file.list().sort()]
        }
        if (!file.name.endsWith('.csv')) {
            return file.name
        }
        return [table: file.name, rows: file.readLines('UTF-8').collect { line -> line.split(',', -1).collect { cell -> rounded(cell) }.join(',') }]
    }

    static String rounded(String cell) {
        if (!(cell ==~ /-?\d+\.\d+([eE][-+]?\d+)?/)) {
            return cell
        }
        def number = new BigDecimal(cell).round(new MathContext(6))
        return number.signum() == 0 ? '0' : number.stripTrailingZeros().toString()
    }
}
