// A digest over a script of bin/ and all that it imports from bin/. Given to a process as an input value, it makes
// -resume re-run what a change of code touches: Nextflow itself hashes only the script that a command names.

def codeDigest(String script) {
    def bin = file("${projectDir}/bin")
    def names = codeClosure(bin, script, [])
    if (!names) {
        error("No such script: bin/${script}")
    }
    return names.sort().collect { name -> "${name} ${codeContent(bin, name).digest('SHA-256')}" }.join('\n').digest('SHA-256')
}

// The head of a table of the contract as CSV, for stubs.
def headerOf(String table) {
    def line = file("${projectDir}/bin/ct4bench/core/tables.csv").readLines().find { row -> row.startsWith("${table},") }
    return line.tokenize(',').last().tokenize(' ').findAll { name -> !name.endsWith('?') }.join(',')
}

// A file's bytes, as the data of code are no text everywhere; of 'table NAME' and 'text NAME' what the contract of tables says of that table alone.
def codeContent(bin, String name) {
    return name.contains(' ') ? codeTable(bin.resolve('ct4bench/core'), name.tokenize(' ')) : bin.resolve(name).bytes
}

// Columns of a table of tables.csv with their lines of columns.csv: whole for 'text', else names and types alone.
def codeTable(folder, List wanted) {
    def (kind, table) = wanted
    def line = folder.resolve('tables.csv').readLines().find { row -> row.startsWith("${table},") }
    if (!line) {
        error("No such table in the contract: ${table}")
    }
    def columns = line.tokenize(',').last()
    def names = columns.replace('?', '').tokenize(' ')
    def rows = folder.resolve('columns.csv').readLines().findAll { row -> row.tokenize(',')[0] in names }
    def told = kind == 'text' ? [line] + rows : [columns] + rows.collect { row -> row.split(',', 4).take(3).join(',') }
    return told.join('\n')
}

def codeClosure(bin, String name, List seen) {
    if (name in seen || !(name.contains(' ') || bin.resolve(name).isFile())) {
        return seen
    }
    def next = name.endsWith('.py') ? codeImports(bin.resolve(name).text, name) : []
    return next.inject(seen + [name]) { found, other -> codeClosure(bin, other, found) }
}

// Files named by imports, and by comment lines: '# code-data: path' (relative to bin/) for data that a module reads,
// '# code-table: NAME' and '# code-text: NAME' for a table of the contract whose names and types, or whose words, too,
// go into what the module makes.
def codeImports(String source, String name) {
    def data = source.findAll(/(?m)^# code-data: (\S+)/) { _line, path -> path }
    def tables = source.findAll(/(?m)^# code-(table|text): (\S+)/) { _line, kind, table -> "${kind} ${table}".toString() }
    def text = source.replaceAll(/#[^\n]*/, '').replaceAll(/\\\r?\n/, ' ')
    def plain = text.findAll(/(?m)^[ \t]*import[ \t]+([^\n;]+)/) { _line, list -> codeNames(list) }.flatten()
    def from = text.findAll(/(?m)^[ \t]*from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n;]+)/) { _line, module, list ->
        def base = codeAbsolute(module, name)
        [base] + codeNames(list).collect { item -> base ? "${base}.${item}" : item }
    }.flatten()
    return data + tables + (plain + from).findAll { dotted -> dotted }.collectMany { dotted -> codeFiles(dotted.toString()) }
}

// '(a, b as c)' -> [a, b]
def codeNames(String list) {
    return list.replaceAll(/[()*]/, ' ').tokenize(',').collect { item -> item.tokenize()[0] }.findAll { item -> item }
}

// '.x' seen from the package that holds `name` -> 'package.x'
def codeAbsolute(String module, String name) {
    def rest = module.replaceAll(/^\.+/, '')
    def dots = module.size() - rest.size()
    if (dots == 0) {
        return module
    }
    return (name.tokenize('/').dropRight(dots) + rest.tokenize('.')).join('.')
}

// 'a.b' -> a/__init__.py, a.py, a/b/__init__.py, a/b.py
def codeFiles(String dotted) {
    def parts = dotted.tokenize('.')
    return (1..parts.size()).collectMany { n ->
        def path = parts.take(n).join('/')
        ["${path}/__init__.py".toString(), "${path}.py".toString()]
    }
}
