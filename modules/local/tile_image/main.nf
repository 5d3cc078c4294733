include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options } from '../shell'

process TILE_IMAGE {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('tile_image.py') }, bytes: { image ? image.size().intdiv(10) : 0 }

    input:
    tuple val(meta), path(section), path(source, stageAs: 'given/section/*'), path(image, stageAs: 'given/image/*')
    path qc_rules, stageAs: 'given/rules/*'
    path declaration, stageAs: 'given/encoder/*' // of an encoder of one's own that declares a scale, or []

    output:
    tuple val(meta), path('patches.h5'), emit: patches, optional: true
    tuple val(meta), path('image_qc.json'), emit: qc, optional: true
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(['patches.h5', 'image_qc.json']) })
    path 'versions.yml', emit: versions

    script:
    def files = [section: section, source: source, image: image, qc_rules: qc_rules, declaration: declaration]
    """
    # code ${task.ext.code}
    tile_image.py --process '${task.process}' \\
        ${options([sample: meta.id])} ${options(files)} --failure failure.json ${options(task.ext.parameters)}
    """

    stub:
    """
    touch patches.h5 image_qc.json versions.yml
    """
}
