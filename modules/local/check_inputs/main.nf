include { codeDigest } from '../digests'
include { options ; quoted } from '../shell'

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
    def files = [gene_sets: gene_sets, reference: reference]
    """
    # code ${task.ext.code}
    check_inputs.py --process '${task.process}' \\
        ${options([input: sheet, base: base, params: parameters] + files)} \\
        --problems problems.txt --schema nextflow_schema.json --sheet_schema samplesheet_schema.json
    """

    stub:
    """
    base=${quoted(base)} awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[\$i] = i }
        NR > 1 {
            printf "%s{\\"id\\": \\"%s\\", ", NR == 2 ? "[" : ",\\n", \$column["sample"]
            printf "\\"section\\": \\"%s/%s\\", ", ENVIRON["base"], \$column["section"]
            printf "\\"image\\": \\"\\", \\"labels\\": \\"\\", \\"n_domains\\": 4, \\"group\\": \\"\\"}"
        }
        END { print "]" }' ${sheet} > sections.json
    cp ${parameters} parameters.json
    touch problems.txt versions.yml
    """
}
