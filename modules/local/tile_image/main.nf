include { codeDigest } from '../digests'

process TILE_IMAGE {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('tile_image.py') }, bytes: { image ? image.size().intdiv(10) : 0 }

    input:
    tuple val(meta), path(section), path(folder, stageAs: 'section/*'), path(image, stageAs: 'image/*')
    path qc_rules

    output:
    tuple val(meta), path('patches.h5'), emit: patches, optional: true
    tuple val(meta), path('image_qc.json'), emit: qc, optional: true
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    tile_image.py \\
        --sample '${meta.id}' \\
        --section ${section} \\
        --folder ${folder} \\
        ${image ? "--image ${image}" : ''} \\
        --qc_rules ${qc_rules} \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' pyvips h5py > versions.yml
    """

    stub:
    """
    touch patches.h5 image_qc.json versions.yml
    """
}
