// Channels by method, volumes by series, chunks of series: what several subworkflows ask of them.

// [method, [key, value, ...]] -> [method, [key, ...], [value, ...], ...], in the order of the keys. A method follows as
// soon as `size` items of it are there, a number, or a map of it by method; where that cannot be known (null), when all
// items of all methods are.
def byMethod(items, size) {
    def sort = { a, b -> a[0].toString() <=> b[0].toString() }
    if (size instanceof Map) {
        return items.map { method, item -> [groupKey(method, size[method]), item] }
            .groupTuple(sort: sort)
            .map { key, found -> [key.getGroupTarget()] + found.transpose() }
    }
    return items.groupTuple([sort: sort] + (size ? [size: size] : [:])).map { method, found -> [method] + found.transpose() }
}

// [meta(method), rows, paths] of all chunks -> [method, map of the volumes by series UID]; for pairs and profiles, which
// take series of any chunk.
def volumesByMethod(chunks) {
    return byMethod(chunks.map { meta, _rows, paths -> [meta.method, [meta.id, paths]] }, null)
        .map { method, _ids, lists -> [method, lists.flatten().collectEntries { path -> [path.baseName, path] }] }
}

// Rows of a table, as maps of texts by column.
def rowsOf(table) {
    return table.splitCsv(header: true, quote: '"')
}

// Rows of tables of series at one of the doses (mGy).
def atDoses(List rows, List doses) {
    return rows.findAll { row -> doses.any { dose -> (row.dose_mgy as BigDecimal).compareTo(dose as BigDecimal) == 0 } }
}

// Series of one dose and reconstruction stand together, so that the chunks of a dose are few.
def inOrder(row) {
    return String.format('%010.3f %-10s %06d %s', row.dose_mgy as Double, row.recon, row.repetition as Integer, row.series_uid)
}

// Series of one scanner that are registered in one task, at most: the twin in parts has all of them, and a stream those of
// one dose and reconstruction (0).
def chunkSize(Map settings) {
    return settings.max_disk ? 0 : settings.in_parts && !settings.input && !settings.download ? 100000 : settings.chunk_size
}

// The chunks of an index, at most `size` series of one scanner each, or all of a dose and reconstruction: [[id, rows], ...].
def chunksOf(index, int size) {
    return rowsOf(index.resolve('inputs.csv'))
        .groupBy { row -> row.scanner }
        .toSorted { a, b -> a.key <=> b.key }
        .collectMany { scanner, rows ->
            def sorted = rows.toSorted { a, b -> inOrder(a) <=> inOrder(b) }
            def parts = size ? sorted.collate(size) : sorted.groupBy { row -> [row.dose_mgy, row.recon] }.values().toList()
            parts.withIndex().collect { part, number -> ["${scanner.replaceAll('[^A-Za-z0-9_.-]', '_')}_${number}".toString(), part] }
        }
}

// Items in lists of neighbours, each of at most `size` together, as `count` counts them, or of one item: a task takes
// longer to start than for an item or two.
def packed(List items, int size, Closure count) {
    return items.inject([[]]) { lists, item ->
        def longer = lists.last() + [item]
        lists.last() && longer.sum(count) > size ? lists + [[item]] : lists.dropRight(1) + [longer]
    }.findAll { list -> list }
}

// Chunks, by the first series of each, whose features are extracted in one task: neighbours with `size` series at the
// doses of features together, or more, as an encoder takes longer to start than to encode ten series. The index alone
// decides, so that no task waits for a chunk that is not its own.
def featureTasks(List chunks, List doses, int size) {
    def wanted = chunks.findAll { _id, rows -> atDoses(rows, doses) }
    def packed = wanted.inject([[]]) { tasks, chunk ->
        def n = tasks.last().sum(0) { _id, rows -> atDoses(rows, doses).size() }
        n < size ? tasks.dropRight(1) + [tasks.last() + [chunk]] : tasks + [[chunk]]
    }
    return packed.findAll { task -> task }.collect { task -> [id: task[0][0], chunks: task.collect { _id, rows -> rows[0].series_uid }] }
}
