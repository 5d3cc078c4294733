include { codeDigest } from '../digests'

process EMBED_PATCHES {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('embed_patches.py') }, bytes: { encoder.size() }

    input:
    // image_qc and stain_reference: [] without stain normalisation
    tuple val(meta), path(patches), path(image_qc), path(stain_reference), path(encoder), path(encoder_json)

    output:
    tuple val(meta), path('features.npz'), emit: features, optional: true
    tuple val(meta), path('features.json'), emit: record, optional: true
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    embed_patches.py \\
        --sample '${meta.id}' \\
        --patches ${patches} \\
        --encoder ${encoder} \\
        --threads ${task.cpus} \\
        ${image_qc ? "--stain ${image_qc}" : ''} \\
        ${stain_reference ? "--stain_reference ${stain_reference}" : ''} \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' onnxruntime > versions.yml
    """

    stub:
    """
    touch features.npz features.json versions.yml
    """
}
