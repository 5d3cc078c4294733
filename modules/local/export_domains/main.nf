include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options ; quoted } from '../shell'

process EXPORT_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('export_domains.py') }, bytes: { domains.size() + (bins ? bins.size() : 0) }

    input:
    tuple val(meta), path(domains), path(bins) // bins: [] for spots of Visium

    output:
    tuple val(meta), path("results/${meta.id}/*/*"), optional: true, emit: exports
    path 'warning.json', optional: true, emit: warning // what could not be exported; the section's results stand
    path({ orFailure(['*/*'], "results/${meta.id}/", 'warning.json') })
    path 'versions.yml', emit: versions

    script:
    def given = [sample: meta.id, domains: domains, bins: bins, outdir: "results/${meta.id}"]
    """
    # code ${task.ext.code}
    export_domains.py --process '${task.process}' \\
        ${options(given)} --failure warning.json ${options(task.ext.parameters)}
    """

    stub:
    def folder = quoted("results/${meta.id}")
    """
    mkdir -p ${folder}/exports ${folder}/figures
    touch ${folder}/exports/loupe.csv ${folder}/figures/domains.svg versions.yml
    """
}
