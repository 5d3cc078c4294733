// Several sections in one task.

include { isTrue } from './values'

// How many sections one task of a step takes that can use a GPU; CHECK_INPUTS says what is wrong with a wrong number.
def sectionsPerTask(settings) {
    def given = settings.sections_per_task.toString()
    return given ==~ /[1-9]\d{0,6}/ ? given as int : isTrue(settings.use_gpu) ? 8 : 1
}

// The elements [meta, …] of a channel in lists of at most so many, of sections that follow each other in `sections`,
// so that -resume finds the same lists again. A section that failed before is missing in its list.
def inGroups(elements, sections, size) {
    if (size == 1) {
        return elements.map { element -> [element] }
    }
    def keys = sections.toList().flatMap { all ->
        all.collate(size).withIndex().collectMany { group, number ->
            group.collect { section -> [section[0], groupKey(number, group.size())] }
        }
    }
    return elements
        .join(keys)
        .map { element -> [element.last(), element.init()] }
        .groupTuple(remainder: true)
        .map { _key, group -> group.sort { element -> element[0].id } }
}

// [meta, file…] of the files FOLDER/SAMPLE/NAME of a channel, so many of each sample, by their names.
def bySample(files, n_files) {
    return files
        .flatten()
        .map { found -> [found.parent.name, found] }
        .groupTuple(size: n_files)
        .map { sample, found -> [[id: sample]] + found.sort { each -> each.name } }
}
