include { codeDigest } from '../digests'
include { arguments } from '../shell'

process FIT_STAIN {
    label 'process_single'
    ext code: { codeDigest('fit_stain.py') }

    input:
    path image_qc, stageAs: 'section*/*' // image_qc.json of every section with an image

    output:
    path 'stain_reference.json', emit: reference
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    fit_stain.py --process '${task.process}' \\
        ${arguments(image_qc)}
    """

    stub:
    """
    touch stain_reference.json versions.yml
    """
}
