include { codeDigest } from '../digests'
include { orFailure } from '../failures'
include { options } from '../shell'

process READ_SECTION {
    tag "${meta.id}"
    label 'process_single'
    ext code: { codeDigest('read_section.py') }, bytes: { count_bytes }

    input:
    // digest: of the files below the folder, so that a repaired file is read again; count_bytes: what the counts take
    tuple val(meta),
        val(use_image),
        path(source, stageAs: 'given/section/*'),
        val(bin_um),
        val(library),
        path(image, stageAs: 'given/image/*'),
        path(labels, stageAs: 'given/labels/*'),
        val(digest),
        val(count_bytes)
    path qc_rules, stageAs: 'given/rules/*'

    output:
    tuple val(meta), path('section.h5ad'), path('section_qc.json'), optional: true, emit: section
    tuple val(meta), path('bins.h5ad', arity: '0..*'), emit: bins // of bins and cells only
    path 'failure.json', optional: true, emit: failure
    path({ orFailure(['section.h5ad', 'section_qc.json']) })
    path 'versions.yml', emit: versions

    script:
    def given = [sample: meta.id, bin_um: bin_um, library: library, image: use_image ? image : 'none']
    """
    # code ${task.ext.code} files ${digest}
    read_section.py --process '${task.process}' \\
        ${options(given)} ${options([source: source, labels: labels, qc_rules: qc_rules])} \\
        --failure failure.json ${options(task.ext.parameters)}
    """

    stub:
    """
    touch section.h5ad section_qc.json versions.yml
    """
}
