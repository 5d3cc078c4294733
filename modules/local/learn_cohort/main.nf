include { codeDigest } from '../digests'
include { options } from '../shell'

process LEARN_COHORT {
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('learn_cohort.py') }, bytes: { [sections].flatten().collect { file -> file.size() }.max() }

    input:
    // one of each for each section, in the same order; with_image: whether there are features of it
    tuple val(samples),
        val(groups),
        path(sections, stageAs: 'sections/?/*'),
        val(with_image),
        path(features, stageAs: 'features/?/*')

    output:
    path 'learned/*/{embedding.npz,training.json}', emit: embeddings
    path 'space', emit: space
    path 'learned/*/failure.json', optional: true, emit: failures
    path 'versions.yml', emit: versions

    script:
    def numbers = (1..samples.size()).collect { number -> with_image.take(number).count(true) }
    def members = [samples, groups, with_image, numbers].transpose().withIndex(1).collect { member, place ->
        def (sample, group, has_image, number) = member
        def given = [sample: sample, group: group, section: "sections/${place}/section.h5ad"]
        options(given + [features: has_image ? "features/${number}/features.npz" : ''])
    }
    """
    # code ${task.ext.code}
    learn_cohort.py --process '${task.process}' \\
        ${members.join(' ')} --threads ${task.cpus} --outdir learned ${options(task.ext.parameters)}
    mv learned/space space
    """

    stub:
    def made = samples.collect { sample ->
        "mkdir -p learned/${sample}; touch learned/${sample}/{embedding.npz,training.json}"
    }
    """
    ${made.join('\n    ')}
    mkdir space
    touch versions.yml
    """
}
