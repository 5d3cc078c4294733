include { codeDigest } from '../digests'

process READ_SECTION {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('read_section.py') }, bytes: { count_bytes }

    input:
    // digest: of the files below the folder, so that a repaired file is read again; count_bytes: what the counts take in them
    tuple val(meta), val(use_image), path(folder, stageAs: 'section/*'), val(bin_um), path(image, stageAs: 'image/*'), path(labels, stageAs: 'labels/*'), val(digest), val(count_bytes)
    path qc_rules

    output:
    tuple val(meta), path('section.h5ad'), path('section_qc.json'), optional: true, emit: section
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    def image_option = !use_image ? '--image none' : image ? "--image ${image}" : ''
    """
    # code ${task.ext.code} files ${digest}
    read_section.py \\
        --sample '${meta.id}' \\
        --section ${folder} \\
        ${bin_um ? "--bin_um '${bin_um}'" : ''} \\
        --qc_rules ${qc_rules} \\
        ${image_option} \\
        ${labels ? "--labels ${labels}" : ''} \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' anndata h5py scipy > versions.yml
    """

    stub:
    """
    touch section.h5ad section_qc.json versions.yml
    """
}
