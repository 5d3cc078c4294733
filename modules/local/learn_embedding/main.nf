include { codeDigest } from '../digests'
include { orFailureOf } from '../failures'
include { callsOf } from '../groups'
include { options } from '../shell'

process LEARN_EMBEDDING {
    tag "${samples.size() == 1 ? samples[0] : "${samples.size()} sections"}"
    label 'process_medium'
    label 'process_gpu'
    ext code: { codeDigest('learn_embedding.py') }, bytes: { [sections].flatten()*.size().max() }, for_all: { together }

    input:
    // one of each for each section, in the same order; with_image: whether there are features of it
    tuple val(samples),
        val(groups),
        path(sections, stageAs: 'sections/?/*'),
        val(with_image),
        path(features, stageAs: 'features/?/*')
    val together // whether they share a space, which is kept; else each has its own

    output:
    path 'learned/*/{embedding.npz,training.json}', optional: true, emit: embeddings
    path 'learned/*/model.pt', optional: true, emit: models
    path 'space', optional: true, emit: space
    path 'learned/*/failure.json', optional: true, emit: failures
    path({ (together ? ['space'] : []) + orFailureOf('learned', samples, ['embedding.npz', 'training.json']) })
    path 'versions.yml', emit: versions

    script:
    def numbers = (1..samples.size()).collect { number -> with_image.take(number).count(true) }
    def members = [samples, groups, with_image, numbers].transpose().withIndex(1).collect { member, place ->
        def (sample, group, has_image, number) = member
        def given = [sample: sample, group: group, section: "sections/${place}/section.h5ad"]
        options(given + [features: has_image ? "features/${number}/features.npz" : ''])
    }
    def how = "--threads ${task.cpus} --outdir learned ${together ? '--space space' : '--failures'}"
    def command = { given -> """
    learn_embedding.py --process '${task.process}' ${given} ${how} ${options(task.ext.parameters)}
    """.trim() }
    def alone = together ? [] : samples
    """
    # code ${task.ext.code}
    ${callsOf(task, 'learn_embedding', 'learned', alone, members, command)}
    """

    stub:
    def made = samples.collect { sample ->
        "mkdir -p learned/${sample}; touch learned/${sample}/{embedding.npz,training.json}"
    }
    """
    ${made.join('\n    ')}
    ${together ? 'mkdir space' : ''}
    touch versions.yml
    """
}
