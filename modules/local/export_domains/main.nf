include { codeDigest } from '../digests'

process EXPORT_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('export_domains.py') }, bytes: { domains.size() }

    input:
    tuple val(meta), path(domains)

    output:
    tuple val(meta), path("${meta.id}/*/*"), optional: true, emit: exports
    path 'warning.json', optional: true, emit: warning // what could not be exported; the section's results stand
    path 'versions.yml', emit: versions

    script:
    """
    # code ${task.ext.code}
    export_domains.py --sample '${meta.id}' --domains ${domains} --outdir '${meta.id}' --failure warning.json ${task.ext.args ?: ''}
    write_versions.py '${task.process}' shapely matplotlib spatialdata > versions.yml
    """

    stub:
    """
    mkdir -p '${meta.id}/exports' '${meta.id}/figures'
    touch '${meta.id}/exports/loupe.csv' '${meta.id}/figures/domains.svg' versions.yml
    """
}
