include { codeDigest } from '../digests'

process LEARN_EMBEDDING {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('learn_embedding.py') }, bytes: { section.size() }

    input:
    tuple val(meta), path(section), path(features), val(n_clusters) // features: [] without an image; n_clusters: 0 without deep embedded clustering

    output:
    tuple val(meta), path('embedding.npz'), path('training.json'), optional: true, emit: embedding
    path "${meta.id}/model.pt", optional: true, emit: model
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    learn_embedding.py \\
        --sample '${meta.id}' \\
        --section ${section} \\
        ${features ? "--features ${features}" : ''} \\
        --n_domains ${n_clusters} \\
        --threads ${task.cpus} \\
        --failure failure.json \\
        ${task.ext.args ?: ''}
    write_versions.py '${task.process}' torch torch-geometric scipy > versions.yml
    """

    stub:
    """
    touch embedding.npz training.json versions.yml
    """
}
