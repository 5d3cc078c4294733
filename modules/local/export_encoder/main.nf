include { codeDigest } from '../digests'

process EXPORT_ENCODER {
    tag "${encoder}"
    label 'process_single'
    ext code: { codeDigest('export_encoder.py') }

    input:
    val encoder // name of the encoder
    path weights // its weights, or []
    path own // an encoder of one's own and its declaration, or []

    output:
    tuple path('encoder.onnx'), path('encoder.json'), emit: encoder
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    export_encoder.py \\
        --encoder '${encoder}' \\
        ${weights ? "--weights ${weights}" : ''} \\
        ${own ? "--encoder_onnx ${own[0]} --declaration ${own[1]}" : ''} \\
        --threads ${task.cpus} \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' torch onnx onnxruntime > versions.yml
    """

    stub:
    """
    touch encoder.onnx encoder.json versions.yml
    """
}
