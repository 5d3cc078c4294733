include { codeDigest } from '../digests'
include { options } from '../shell'

process COHORT_SUMMARY {
    label 'process_single'
    ext code: { codeDigest('cohort_summary.py') }, bytes: { [pseudobulk].flatten().sum { file -> file.size() } ?: 0 }

    input:
    path sections // sections.json of CHECK_INPUTS
    path summaries, stageAs: 'summaries/?/*' // section_summary.json of each finished section
    path thumbnails, stageAs: 'thumbnails/*'
    path pseudobulk, stageAs: 'pseudobulk/*' // <sample>_pseudobulk.csv of each described section
    path described, stageAs: 'described/*' // folder of DESCRIBE_DOMAINS of each section
    path failures, stageAs: 'failures/?/*' // failure.json of each failed step
    path warnings, stageAs: 'warnings/?/*' // warning.json of each step that a section does without
    path versions, stageAs: 'versions/?/*' // versions.yml of each task
    val common // whether a domain is the same in all sections

    output:
    path '{summary,sections}.{csv,parquet}', emit: summary
    path '{proportions,domain_tests,shared_markers,shared_gene_sets,mixing}.csv', optional: true, emit: statistics
    path 'pseudobulk.h5ad', optional: true, emit: pseudobulk
    path 'warnings.txt', optional: true, emit: warnings
    path '*_mqc*', emit: multiqc
    path 'software_versions.yml', emit: software_versions
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    mkdir -p summaries thumbnails pseudobulk described failures warnings versions
    cohort_summary.py --process '${task.process}' \\
        ${options([sections: sections])} ${common ? '--common' : ''} \\
        --summaries summaries \\
        --thumbnails thumbnails \\
        --pseudobulk pseudobulk \\
        --described described \\
        --failures failures \\
        --warnings warnings \\
        --versions versions
    cp efnst_mqc_versions.yml software_versions.yml
    """

    stub:
    """
    touch summary.csv summary.parquet sections.csv efnst_mqc.json software_versions.yml versions.yml
    """
}
