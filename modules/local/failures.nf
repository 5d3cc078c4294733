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
