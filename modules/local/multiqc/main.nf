process MULTIQC {
    label 'process_single'

    input:
    path content, stageAs: 'content/*' // *_mqc files of COHORT_SUMMARY
    path config
    val title

    output:
    path 'multiqc_report.html', emit: report
    path 'multiqc_report_data', emit: data
    path 'versions.yml', emit: versions

    script:
    """
    multiqc --force --config ${config} --filename multiqc_report.html ${title ? "--title '${title}'" : ''} ${task.ext.args ?: ''} content
    write_versions.py '${task.process}' multiqc > versions.yml
    """

    stub:
    """
    mkdir multiqc_report_data
    touch multiqc_report.html versions.yml
    """
}
