include { codeDigest } from '../digests'
include { options } from '../shell'

process FIT_DOMAINS {
    label 'process_single'
    ext code: { codeDigest('fit_domains.py') }, bytes: { [sections].flatten().collect { file -> file.size() }.max() }

    input:
    // one of each for each section, in the same order
    tuple val(samples),
        val(groups),
        path(sections, stageAs: 'sections/?/*'),
        path(embeddings, stageAs: 'embeddings/?/*')
    val n_domains // [] where the number is to be chosen
    path space
    path encoder // encoder.json, [] where no section has an image
    path stain_reference // of FIT_STAIN, [] where the patches stay as they are

    output:
    path 'reference', emit: reference
    path 'warnings.txt', emit: warnings, optional: true // of the names that labels taught
    path 'versions.yml', emit: versions

    script:
    def members = [samples, groups].transpose().withIndex(1).collect { member, place ->
        def (sample, group) = member
        def given = [sample: sample, group: group, section: "sections/${place}/section.h5ad"]
        options(given + [embedding: "embeddings/${place}/embedding.npz"])
    }
    """
    # code ${task.ext.code}
    fit_domains.py --process '${task.process}' \\
        ${members.join(' ')} ${options([n_domains: n_domains, space: space, encoder_json: encoder])} \\
        ${options([stain_reference: stain_reference])} ${options(task.ext.parameters)}
    """

    stub:
    """
    mkdir reference
    touch versions.yml
    """
}
