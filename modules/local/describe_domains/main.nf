include { codeDigest } from '../digests'
include { orFailure } from '../failures'
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
        path("results/${meta.id}/markers.csv"),
        path("results/${meta.id}/spatial_genes.csv"),
        path("results/${meta.id}/umap.csv"),
        path("results/${meta.id}/description.json"),
        optional: true,
        emit: description
    path "results/${meta.id}/${meta.id}_pseudobulk.csv", optional: true, emit: pseudobulk
    path "results/${meta.id}/{domain_graph,gene_sets}.csv", optional: true, emit: tables
    // a copy of these for the cohort: what lies in a folder that is an output itself would not be published
    path "cohort/${meta.id}", type: 'dir', optional: true, emit: folder
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(describedFiles(meta.id, gene_sets)) })
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    describe_domains.py --process '${task.process}' \\
        ${options([sample: meta.id, domains: domains, gene_sets: gene_sets, outdir: "results/${meta.id}"])} \\
        --failure failure.json ${options(task.ext.parameters)}
    mkdir cohort
    cp -r ${quoted("results/${meta.id}")} cohort
    """

    stub:
    def folder = quoted("results/${meta.id}")
    """
    mkdir -p ${folder}
    cd ${folder}
    touch markers.csv spatial_genes.csv umap.csv domain_graph.csv description.json ${gene_sets ? 'gene_sets.csv' : ''}
    touch ${quoted("${meta.id}_pseudobulk.csv")} ../../versions.yml
    mkdir -p ../../cohort
    cp -r . ../../cohort/${quoted(meta.id)}
    """
}

// What is described of each section; with [] for `gene_sets` nothing of these.
def describedFiles(sample, gene_sets) {
    def names = ['markers', 'spatial_genes', 'umap', "${sample}_pseudobulk", 'domain_graph']
    def tables = (names + (gene_sets ? ['gene_sets'] : [])).collect { name -> "${name}.csv" }
    return (tables + ['description.json']).collect { name -> "results/${sample}/${name}" } + ["cohort/${sample}"]
}
