// Sections that failed: the records of why.

include { isTrue } from './values'

// The record of a section that no program can write.
def failureRecord(sample, step, problem) {
    def record = [sample: sample, step: step, reason: "${sample}: ${problem}".toString()]
    return groovy.json.JsonOutput.toJson(record)
}

// A failed section's record; with --strict it ends the run.
def accepted(failure) {
    return isTrue(params.strict) ? error(reasonOf(failure)) : failure
}

// Why a section failed, as its record says.
def reasonOf(failure) {
    return new groovy.json.JsonSlurper().parse(failure).reason
}

// Globs of the files that a task leaves in a folder, or its record of a failure in their place. Each has to be found:
// where all outputs of a task are optional, Nextflow takes it as cached though they were removed from the work folder.
def orFailure(files, folder = '', record = 'failure.json') {
    return files.collect { file -> "{${folder}${file},${record}}" }
}

// The same of a task that takes several sections, each with a folder FOLDER/SAMPLE of its own.
def orFailureOf(folder, samples, names) {
    return samples.collectMany { sample ->
        orFailure(names).collect { glob -> "${folder}/${sample}/${glob}" }
    }
}
