include { codeDigest } from '../digests'

process DESCRIBE_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('describe_domains.py') }, bytes: { domains.size() }

    input:
    tuple val(meta), path(domains)

    output:
    tuple val(meta), path("${meta.id}/markers.csv"), path("${meta.id}/spatial_genes.csv"), path("${meta.id}/umap.csv"), path("${meta.id}/description.json"), optional: true, emit: description
    path "${meta.id}/${meta.id}_pseudobulk.csv", optional: true, emit: pseudobulk
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    describe_domains.py --sample '${meta.id}' --domains ${domains} --outdir '${meta.id}' --failure failure.json ${task.ext.args ?: ''}
    write_versions.py '${task.process}' scanpy scipy umap-learn > versions.yml
    """

    stub:
    """
    mkdir '${meta.id}'
    touch '${meta.id}/markers.csv' '${meta.id}/spatial_genes.csv' '${meta.id}/umap.csv' '${meta.id}/description.json' '${meta.id}/${meta.id}_pseudobulk.csv' versions.yml
    """
}
