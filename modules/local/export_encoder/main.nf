include { codeDigest } from '../digests'
include { options } from '../shell'
include { encoderBytes } from '../sizes'
include { withSharedFolder } from '../values'

process EXPORT_ENCODER {
    label 'process_single'
    ext code: { codeDigest('export_encoder.py') }, bytes: { own ? encoderBytes(own) : 0 }

    input:
    val wanted // true once there is a section with an image: without one no encoder is exported
    path weights, stageAs: 'given/weights/*' // its weights, or []
    path own, stageAs: 'given/own/*' // an encoder of one's own, its declaration and any file of weights, or []

    output:
    tuple path('encoder.onnx{,.data}'), path('encoder.json'), emit: encoder
    path 'cost.txt', emit: cost, optional: true // of an encoder of one's own
    path 'versions.yml', emit: versions

    script:
    def files = [weights: weights, encoder_onnx: own ? own[0] : null, declaration: own ? own[1] : null]
    """
    # code ${task.ext.code}
    export_encoder.py --process '${task.process}' \\
        ${options(files)} --threads ${task.cpus} ${options(withSharedFolder(task.ext.parameters))}
    """

    stub:
    """
    touch encoder.onnx encoder.json versions.yml
    """
}
