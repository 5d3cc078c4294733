include { codeDigest } from '../digests'
include { options } from '../shell'
include { encoderBytes } from '../sizes'

process EMBED_PATCHES {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('embed_patches.py') }, bytes: { encoderBytes(encoder) }

    input:
    // image_qc and stain_reference: [] without stain normalisation; encoder: the graph and any file of its weights
    tuple val(meta), path(patches), path(image_qc), path(stain_reference), path(encoder), path(encoder_json)

    output:
    tuple val(meta), path('features.npz'), emit: features, optional: true
    tuple val(meta), path('features.json'), emit: record, optional: true
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    def files = [patches: patches, encoder: 'encoder.onnx', stain: image_qc, stain_reference: stain_reference]
    // No later step reads them, and they are most of what a section with a large image leaves in the work folder.
    def spent = task.ext.cleanup ? 'rm -f "$(readlink -f patches.h5)"' : ''
    """
    # code ${task.ext.code}
    embed_patches.py --process '${task.process}' \\
        ${options([sample: meta.id])} ${options(files)} --threads ${task.cpus} --failure failure.json \\
        ${options(task.ext.parameters)}
    ${spent}
    """

    stub:
    """
    touch features.npz features.json versions.yml
    """
}
