include { codeDigest } from '../digests'
include { arguments ; options } from '../shell'

process QUANTISE_ENCODER {
    label 'process_medium'
    ext code: { codeDigest('quantise_encoder.py') }

    input:
    tuple path(encoder, stageAs: 'fp32/*'), path(encoder_json, stageAs: 'fp32/*')
    path patches, stageAs: 'section*/*' // patches.h5 of every section with an image
    path image_qc, stageAs: 'section*/*' // their image_qc.json in the same order, or []
    path stain_reference // or []

    output:
    tuple path('encoder.onnx'), path('encoder.json'), emit: encoder
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    quantise_encoder.py --process '${task.process}' \\
        ${options([encoder: encoder, record: encoder_json, stain_reference: stain_reference])} \\
        --threads ${task.cpus} ${options(task.ext.parameters)} ${arguments(patches)}
    """

    stub:
    """
    touch encoder.onnx encoder.json versions.yml
    """
}
