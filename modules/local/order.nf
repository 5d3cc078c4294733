// All files of a channel in one list whose order does not depend on which task ended first, so that -resume finds it
// again.
def inOrder(files) {
    return files.toSortedList { file -> file.toString() }
}

// All elements [meta, …] of a channel in one, by the samples' names; none where there are none.
def allInOrder(elements) {
    return elements.toSortedList { a, b -> a[0].id <=> b[0].id }.filter { all -> all.size() > 0 }
}
