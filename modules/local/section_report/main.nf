include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options ; quoted } from '../shell'

process SECTION_REPORT {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('section_report.py') }, bytes: { domains.size() + (bins ? bins.size() : 0) }

    input:
    // bins: [] for spots of Visium; image, image_qc, features and encoder: [] for a section without them
    tuple val(meta),
        path(source, stageAs: 'given/section/*'),
        path(image, stageAs: 'given/image/*'),
        path(qc),
        path(image_qc),
        path(features),
        path(encoder),
        path(training),
        path(domains),
        path(bins),
        path(domains_json),
        path(markers),
        path(spatial_genes),
        path(umap),
        path(description)
    path template, stageAs: 'given/template/*' // report.html and what it includes

    output:
    tuple val(meta), path("results/${meta.id}/report.html"), optional: true, emit: report
    path "results/${meta.id}/section_summary.json", optional: true, emit: summary
    path "results/${meta.id}/${meta.id}_thumbnail.webp", optional: true, emit: thumbnail
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(['report.html', 'section_summary.json', "${meta.id}_thumbnail.webp"], "results/${meta.id}/") })
    path 'versions.yml', emit: versions

    script:
    def records = [qc: qc, image_qc: image_qc, features_json: features, encoder_json: encoder, training: training]
    def results = [domains: domains, bins: bins, domains_json: domains_json, description: description]
    def tables = [markers: markers, spatial_genes: spatial_genes, umap: umap]
    def files = [source: source, image: image, template: 'given/template/report.html']
    """
    # code ${task.ext.code}
    section_report.py --process '${task.process}' \\
        ${options([sample: meta.id, outdir: "results/${meta.id}"])} ${options(files)} --failure failure.json \\
        ${options(records)} ${options(results)} ${options(tables)}
    """

    stub:
    def folder = quoted("results/${meta.id}")
    """
    mkdir -p ${folder}
    cd ${folder}
    touch report.html section_summary.json ${quoted("${meta.id}_thumbnail.webp")} ../../versions.yml
    """
}
