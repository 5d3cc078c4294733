include { codeDigest } from '../digests'

process SECTION_REPORT {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('section_report.py') }, bytes: { domains.size() }

    input:
    // image, image_qc, features and encoder: [] for a section without them
    tuple val(meta), path(folder, stageAs: 'section/*'), path(image, stageAs: 'image/*'), path(qc), path(image_qc), path(features), path(encoder), path(training), path(domains), path(domains_json), path(markers), path(spatial_genes), path(umap), path(description)
    path template, stageAs: 'template/*' // report.html and what it includes

    output:
    tuple val(meta), path("${meta.id}/report.html"), optional: true, emit: report
    path "${meta.id}/section_summary.json", optional: true, emit: summary
    path "${meta.id}/${meta.id}_thumbnail.webp", optional: true, emit: thumbnail
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    section_report.py \\
        --sample '${meta.id}' \\
        --section ${folder} \\
        ${image ? "--image ${image}" : ''} \\
        --qc ${qc} \\
        ${image_qc ? "--image_qc ${image_qc}" : ''} \\
        ${features ? "--features_json ${features}" : ''} \\
        ${encoder ? "--encoder_json ${encoder}" : ''} \\
        --training ${training} \\
        --domains ${domains} \\
        --domains_json ${domains_json} \\
        --markers ${markers} \\
        --spatial_genes ${spatial_genes} \\
        --umap ${umap} \\
        --description ${description} \\
        --template template/report.html \\
        --outdir '${meta.id}' \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' jinja2 pillow > versions.yml
    """

    stub:
    """
    mkdir '${meta.id}'
    touch '${meta.id}/report.html' '${meta.id}/section_summary.json' '${meta.id}/${meta.id}_thumbnail.webp' versions.yml
    """
}
