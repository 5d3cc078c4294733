include { codeDigest } from '../digests'
include { options } from '../shell'

process LEARN_EMBEDDING {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('learn_embedding.py') }, bytes: { section.size() }

    input:
    tuple val(meta), path(section), path(features) // features: [] without an image

    output:
    tuple val(meta), path('embedding.npz'), path('training.json'), optional: true, emit: embedding
    path "${meta.id}/model.pt", optional: true, emit: model
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    learn_embedding.py --process '${task.process}' \\
        ${options([sample: meta.id, section: section, features: features])} --threads ${task.cpus} \\
        --failure failure.json ${options(task.ext.parameters)}
    """

    stub:
    """
    touch embedding.npz training.json versions.yml
    """
}
