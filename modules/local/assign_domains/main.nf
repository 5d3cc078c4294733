include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options ; quoted } from '../shell'

process ASSIGN_DOMAINS {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('assign_domains.py') }, bytes: { section.size() + (bins ? bins.size() : 0) }

    input:
    // bins: [] for spots of Visium; n_domains: [] where it is to be chosen; source and image: for the picture in the
    // .h5ad; image_qc, features and encoder: [] for a section without an image; reference_fit: [] but with --reference
    tuple val(meta),
        path(section),
        path(embedding),
        path(training),
        path(bins),
        val(n_domains),
        path(source, stageAs: 'given/section/*'),
        path(image, stageAs: 'given/image/*'),
        path(image_qc),
        path(features),
        path(encoder),
        path(reference_fit)
    path reference, stageAs: 'given/reference' // of FIT_DOMAINS, [] where each section has domains of its own

    output:
    tuple val(meta),
        path("results/${meta.id}/${meta.id}.h5ad"),
        path("results/${meta.id}/domains.csv"),
        path("results/${meta.id}/domains.json"),
        optional: true,
        emit: domains
    // Of bins and cells only:
    tuple val(meta), path("results/${meta.id}/${meta.id}_bins.h5ad", arity: '0..*'), emit: bins
    path "results/${meta.id}/provenance.json", optional: true, emit: provenance
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(["${meta.id}.h5ad", 'domains.csv', 'domains.json', 'provenance.json'], "results/${meta.id}/") })
    path 'versions.yml', emit: versions

    script:
    def files = [section: section, embedding: embedding, training: training, bins: bins, source: source, image: image]
    files += [reference: reference, reference_fit: reference_fit]
    def records = [image_qc: image_qc, features_json: features, encoder_json: encoder]
    """
    # code ${task.ext.code}
    assign_domains.py --process '${task.process}' \\
        ${options([sample: meta.id, n_domains: n_domains, outdir: "results/${meta.id}"])} ${options(files)} \\
        ${options(records)} --failure failure.json ${options(task.ext.parameters)}
    """

    stub:
    def folder = quoted("results/${meta.id}")
    """
    mkdir -p ${folder}
    cd ${folder}
    touch ${quoted("${meta.id}.h5ad")} domains.csv domains.json provenance.json ../../versions.yml
    """
}
