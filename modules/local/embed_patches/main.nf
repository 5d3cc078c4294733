include { codeDigest } from '../digests'
include { orFailureOf } from '../failures'
include { callsOf } from '../groups'
include { options } from '../shell'
include { encoderBytes } from '../sizes'

process EMBED_PATCHES {
    tag "${samples.size() == 1 ? samples[0] : "${samples.size()} sections"}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('embed_patches.py') }, bytes: { encoderBytes(encoder) }

    input:
    // samples, patches, image_qcs: one of each for each section, in the same order; image_qcs and stain_reference: []
    // without stain normalisation; encoder: the graph and any file of its weights
    tuple val(samples),
        path(patches, stageAs: 'patches/?/*'),
        path(image_qcs, stageAs: 'stains/?/*'),
        path(stain_reference),
        path(encoder),
        path(encoder_json)

    output:
    path 'embedded/*/features.{npz,json}', optional: true, emit: features
    path 'embedded/*/failure.json', optional: true, emit: failures
    path({ orFailureOf('embedded', samples, ['features.npz', 'features.json']) })
    path 'versions.yml', emit: versions

    script:
    def members = samples.withIndex(1).collect { sample, place ->
        def stain = image_qcs ? "stains/${place}/image_qc.json" : []
        options([sample: sample, patches: "patches/${place}/patches.h5", stain: stain])
    }
    def common = options([encoder: 'encoder.onnx', stain_reference: stain_reference])
    def how = "--threads ${task.cpus} --outdir embedded --failures ${options(task.ext.parameters)}"
    def command = { given -> """
    embed_patches.py --process '${task.process}' ${given} ${common} ${how}
    """.trim() }
    // No later step reads them, and they are most of what a section with a large image leaves in the work folder.
    def spent = task.ext.cleanup ? 'for file in patches/*/patches.h5; do rm -f "$(readlink -f "$file")"; done' : ''
    """
    # code ${task.ext.code}
    ${callsOf(task, 'embed_patches', 'embedded', samples, members, command)}
    ${spent}
    """

    stub:
    def made = samples.collect { sample ->
        "mkdir -p embedded/${sample}; touch embedded/${sample}/features.{npz,json}"
    }
    """
    ${made.join('\n    ')}
    touch versions.yml
    """
}
