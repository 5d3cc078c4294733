include { FIT_DOMAINS } from './fit_domains'
include { LEARN_COHORT } from './learn_cohort'
include { allInOrder } from './order'

// What all sections share: a space, and the domains in it.
workflow LEARN_TOGETHER {
    take:
    sections // [meta, section, features], features [] for a section without an image
    given // [meta, group, n_domains], n_domains [] where it is to be chosen
    encoder // encoder.json, [] where no section has an image
    stain_reference // of FIT_STAIN, [] where the patches stay as they are

    main:
    members = allInOrder(sections.join(given))
    LEARN_COHORT(
        members.map { all ->
            def images = all.collect { member -> member[2] != [] }
            [all.collect { member -> member[0].id }, all*.get(3), all*.get(1), images, all*.get(2).findAll()]
        }
    )
    embeddings = LEARN_COHORT.out.embeddings
        .flatten()
        .map { found -> [found.parent.name, found] }
        .groupTuple(size: 2)
        .map { sample, found -> [[id: sample]] + found.sort { each -> each.name } }
    learned = allInOrder(sections.join(given).join(embeddings))
    FIT_DOMAINS(
        learned.map { all -> [all.collect { member -> member[0].id }, all*.get(1), all*.get(5)] },
        learned.map { all -> all*.get(4).findAll().max() ?: [] },
        LEARN_COHORT.out.space,
        encoder,
        stain_reference,
    )

    emit:
    embeddings // [meta, embedding.npz, training.json]
    reference = FIT_DOMAINS.out.reference
    failures = LEARN_COHORT.out.failures.flatten()
    versions = LEARN_COHORT.out.versions.mix(FIT_DOMAINS.out.versions)
}
