include { codeDigest } from '../digests'

process EMBED_PATCHES {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('embed_patches.py') }

    input:
    tuple val(meta), path(patches), path(encoder), path(encoder_json)

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
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' onnxruntime > versions.yml
    """

    stub:
    """
    touch features.npz features.json versions.yml
    """
}
