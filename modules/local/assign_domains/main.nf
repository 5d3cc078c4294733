include { codeDigest } from '../digests'

process ASSIGN_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('assign_domains.py') }, bytes: { section.size() }

    input:
    // folder and image: for the picture in the .h5ad; image_qc, features and encoder: [] for a section without an image
    tuple val(meta), path(section), path(embedding), path(training), val(n_domains), path(folder, stageAs: 'section/*'), path(image, stageAs: 'image/*'), path(image_qc), path(features), path(encoder)

    output:
    tuple val(meta), path("${meta.id}/${meta.id}.h5ad"), path("${meta.id}/domains.csv"), path("${meta.id}/domains.json"), optional: true, emit: domains
    path "${meta.id}/provenance.json", optional: true, emit: provenance
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    assign_domains.py \\
        --sample '${meta.id}' \\
        --section ${section} \\
        --embedding ${embedding} \\
        --training ${training} \\
        ${n_domains ? "--n_domains ${n_domains}" : ''} \\
        --folder ${folder} \\
        ${image ? "--image ${image}" : ''} \\
        ${image_qc ? "--image_qc ${image_qc}" : ''} \\
        ${features ? "--features_json ${features}" : ''} \\
        ${encoder ? "--encoder_json ${encoder}" : ''} \\
        --outdir '${meta.id}' \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' scikit-learn leidenalg igraph anndata > versions.yml
    """

    stub:
    """
    mkdir '${meta.id}'
    touch '${meta.id}/${meta.id}.h5ad' '${meta.id}/domains.csv' '${meta.id}/domains.json' '${meta.id}/provenance.json' versions.yml
    """
}
