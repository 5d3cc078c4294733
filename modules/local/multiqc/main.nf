include { options } from '../shell'

process MULTIQC {
    label 'process_single'

    input:
    path content, stageAs: 'content/*' // *_mqc files of COHORT_SUMMARY
    path config
    val title // text, or []

    output:
    path 'multiqc_report.html', emit: report
    path 'multiqc_report_data', emit: data
    path 'versions.yml', emit: versions

    script:
    // MultiQC puts the title into its page as it is.
    def marks = ['&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;']
    def shown = title ? title.toString().collectReplacements { mark -> marks[mark] } : []
    """
    multiqc --force ${options([config: config, title: shown])} --filename multiqc_report.html \\
        ${task.ext.args ?: ''} content
    write_versions.py '${task.process}' multiqc > versions.yml
    """

    stub:
    """
    mkdir multiqc_report_data
    touch multiqc_report.html versions.yml
    """
}
