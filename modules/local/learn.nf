include { FIT_DOMAINS } from './fit_domains'
include { bySample ; inGroups } from './groups'
include { LEARN_EMBEDDING } from './learn_embedding'
include { allInOrder } from './order'
include { tell } from './progress'

// The embedding of each section by itself, or of all of them in one space, and then the domains that they share.
workflow LEARN {
    take:
    sections // [meta, section, features], features [] for a section without an image
    given // [meta, group, n_domains], n_domains [] where it is to be chosen
    encoder // encoder.json, [] where no section has an image
    stain_reference // of FIT_STAIN, [] where the patches stay as they are
    together // whether the sections share a space

    main:
    members = sections.join(given)
    cohorts = together ? allInOrder(members) : inGroups(members, given, 4)
    LEARN_EMBEDDING(
        cohorts.map { all ->
            def images = all.collect { member -> member[2] != [] }
            def groups = all.collect { member -> together ? member[3] : [] }
            [all.collect { member -> member[0].id }, groups, all*.get(1), images, all*.get(2).findAll()]
        },
        together,
    )
    embeddings = bySample(LEARN_EMBEDDING.out.embeddings, 2)
    reference = channel.value([])
    versions = LEARN_EMBEDDING.out.versions
    if (together) {
        learned = allInOrder(members.join(embeddings))
        FIT_DOMAINS(
            learned.map { all -> [all.collect { member -> member[0].id }, all*.get(3), all*.get(1), all*.get(5)] },
            learned.map { all -> all*.get(4).findAll().max() ?: [] },
            LEARN_EMBEDDING.out.space,
            encoder,
            stain_reference,
        )
        tell(FIT_DOMAINS.out.warnings)
        reference = FIT_DOMAINS.out.reference
        versions = versions.mix(FIT_DOMAINS.out.versions)
    }

    emit:
    embeddings // [meta, embedding.npz, training.json]
    reference // domains that the sections share, [] where they have their own
    failures = LEARN_EMBEDDING.out.failures.flatten()
    versions
}
