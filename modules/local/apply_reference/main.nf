include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options } from '../shell'

process APPLY_REFERENCE {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('apply_reference.py') }, bytes: { section.size() }

    input:
    // features, encoder: [] without an image; digest: of the files of the reference, so that a changed one is applied
    // again
    tuple val(meta), path(section), path(features), path(encoder), val(group), val(digest)
    path reference, stageAs: 'given/reference'

    output:
    tuple val(meta), path('embedding.npz'), path('training.json'), optional: true, emit: embedding
    tuple val(meta), path('reference_fit.json'), optional: true, emit: fit
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(['embedding.npz', 'training.json', 'reference_fit.json']) })
    path 'warnings.txt', optional: true, emit: warnings
    path 'versions.yml', emit: versions

    script:
    def given = [sample: meta.id, group: group, section: section, features: features, encoder_json: encoder]
    """
    # code ${task.ext.code} reference ${digest}
    apply_reference.py --process '${task.process}' \\
        ${options(given)} ${options([reference: reference])} --failure failure.json \\
        ${options(task.ext.parameters)}
    """

    stub:
    """
    touch embedding.npz training.json reference_fit.json versions.yml
    """
}
