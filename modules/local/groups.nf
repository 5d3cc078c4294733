// Several sections in one task.

include { failureRecord } from './failures'
include { quoted } from './shell'
include { isTrue } from './values'

// The elements [meta, …] of a channel in lists, each for one task of a step that can use a GPU: of sections that follow
// each other in `sections`, so that -resume finds the same lists again. A section that failed before is missing in its
// list. `of_many`: how many share a task on a CPU where there are many sections.
def inGroups(elements, sections, of_many) {
    def keys = sections.toList().flatMap { all ->
        all.collate(perTask(all.size(), of_many)).withIndex().collectMany { group, number ->
            group.collect { section -> [section[0], groupKey(number, group.size())] }
        }
    }
    return elements
        .join(keys)
        .map { element -> [element.last(), element.init()] }
        .groupTuple(remainder: true)
        .map { _key, group -> group.sort { element -> element[0].id } }
}

// How many of so many sections one task takes; CHECK_INPUTS says what is wrong with a wrong parameter.
def perTask(n_sections, of_many) {
    def asked = params.sections_per_task.toString()
    return asked ==~ /[1-9]\d{0,6}/ ? asked as int : isTrue(params.use_gpu) ? 8 : n_sections >= 32 ? of_many : 1
}

// [meta, file…] of the files FOLDER/SAMPLE/NAME of a channel, so many of each sample, by their names.
def bySample(files, n_files) {
    return files
        .flatten()
        .map { found -> [found.parent.name, found] }
        .groupTuple(size: n_files)
        .map { sample, found -> [[id: sample]] + found.sort { each -> each.name } }
}

// What a task runs for its sections: `command` with the options of all in `members`, or, the third time, after it was
// killed twice, with those of one after the other, so that a section that is killed does not take the others with it.
// `samples`: those that the members are of, none where the program needs all of them at once.
def callsOf(task, program, folder, samples, members, command) {
    if (task.attempt < 3 || samples.size() < 2) {
        return command.call(members.join(' '))
    }
    def killed = 'the step was ended three times (exit status %d), as for lack of memory; give it more (docs/usage.md)'
    return [samples, members].transpose().collect { sample, member ->
        def own = "${folder}/${sample}"
        def record = "printf ${quoted(failureRecord(sample, program, killed))} \$ended > ${own}/failure.json"
        "${command.call(member)} || { ended=\$?; rm -rf ${own}; mkdir -p ${own}; ${record}; }"
    }.join('\n    ')
}
