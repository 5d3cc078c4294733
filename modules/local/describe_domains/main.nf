include { codeDigest } from '../digests'
include { options ; quoted } from '../shell'

process DESCRIBE_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('describe_domains.py') }, bytes: { domains.size() }

    input:
    tuple val(meta), path(domains)
    path gene_sets, stageAs: 'given/gene_sets/*' // file of gene sets, or []

    output:
    tuple val(meta),
        path("${meta.id}/markers.csv"),
        path("${meta.id}/spatial_genes.csv"),
        path("${meta.id}/umap.csv"),
        path("${meta.id}/description.json"),
        optional: true,
        emit: description
    path "${meta.id}/${meta.id}_pseudobulk.csv", optional: true, emit: pseudobulk
    path "${meta.id}/{domain_graph,gene_sets}.csv", optional: true, emit: tables
    // a copy of these for the cohort: what lies in a folder that is an output itself would not be published
    path "cohort/${meta.id}", type: 'dir', optional: true, emit: folder
    path 'failure.json', optional: true, emit: failure
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    describe_domains.py --process '${task.process}' \\
        ${options([sample: meta.id, domains: domains, gene_sets: gene_sets, outdir: meta.id])} \\
        --failure failure.json ${options(task.ext.parameters)}
    mkdir cohort
    cp -r ${quoted(meta.id)} cohort
    """

    stub:
    def folder = quoted(meta.id)
    """
    mkdir ${folder}
    cd ${folder}
    touch markers.csv spatial_genes.csv umap.csv description.json ${quoted("${meta.id}_pseudobulk.csv")} ../versions.yml
    """
}
