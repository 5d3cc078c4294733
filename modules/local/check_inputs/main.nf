include { codeDigest } from '../digests'
include { options } from '../shell'

process CHECK_INPUTS {
    label 'process_single'
    ext code: { codeDigest('check_inputs.py') }
    cache 'deep'

    input:
    path sheet // samplesheet, as CSV, TSV or YAML, under a name of ours
    val base // folder that relative paths of the samplesheet start from
    path parameters, stageAs: 'given/*' // the run's parameters, as JSON
    path schemas // nextflow_schema.json and samplesheet_schema.json
    path gene_sets, stageAs: 'given/gene_sets/*' // file of gene sets, or []
    path reference, stageAs: 'given/reference' // folder of an earlier run, or []

    output:
    path 'sections.json', emit: sections
    path 'parameters.json', emit: parameters
    path 'problems.txt', emit: problems
    path 'warnings.txt', emit: warnings, optional: true
    path 'versions.yml', emit: versions

    script:
    def given = [input: sheet, base: base, params: parameters, gene_sets: gene_sets, reference: reference]
    """
    # code ${task.ext.code}
    check_inputs.py --process '${task.process}' ${withSchemas(given)}
    """

    stub:
    // -stub-run, too, needs the sections of the samplesheet, in whatever form it is.
    def given = [input: sheet, base: base, params: parameters, gene_sets: gene_sets]
    """
    # code ${task.ext.code}
    check_inputs.py --process '${task.process}' ${withSchemas(given)}
    """
}

def withSchemas(given) {
    def schemas = '--schema nextflow_schema.json --sheet_schema samplesheet_schema.json'
    return "${options(given)} --problems problems.txt ${schemas}"
}
