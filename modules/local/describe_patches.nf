include { EMBED_PATCHES } from './embed_patches'
include { EXPORT_ENCODER } from './export_encoder'
include { FIT_STAIN } from './fit_stain'
include { bySample ; inGroups } from './groups'
include { QUANTISE_ENCODER } from './quantise_encoder'
include { TILE_IMAGE } from './tile_image'
include { allInOrder ; inOrder } from './order'
include { scaled } from './own_encoder'

// From the images of sections to features: each channel element is [meta, files…], meta.id the sample's name.
workflow DESCRIBE_PATCHES {
    take:
    expected // [meta, …] of the sections with an image: the encoder is exported while the first is read
    sections // [meta, section, source, image] of the sections with an image
    encoder_weights // file with the weights of the encoder, or []
    own_encoder // [file, declaration, file of weights…] of an encoder of one's own, or []
    qc_rules // file of the rules for pass, warn and fail
    quantise // whether the encoder computes in int8
    normalise_stain // whether the patches are brought to a common stain before the encoder
    known_stain // [stain_reference.json] of a reference, or []

    main:
    EXPORT_ENCODER(expected.first().map { _first -> true }, encoder_weights, own_encoder)
    EXPORT_ENCODER.out.cost.subscribe { cost -> log.info("efnst: encoder ${cost.text.trim()}") }
    TILE_IMAGE(sections, qc_rules, own_encoder ? scaled(own_encoder[1]) : [])
    stain_reference = channel.empty()
    stain_versions = channel.empty()
    if (normalise_stain) {
        if (known_stain) {
            stain_reference = channel.value(known_stain[0])
        }
        else {
            FIT_STAIN(inOrder(TILE_IMAGE.out.qc.map { _meta, qc -> qc }).filter { all -> all.size() > 0 })
            stain_reference = FIT_STAIN.out.reference
            stain_versions = FIT_STAIN.out.versions
        }
        stained = TILE_IMAGE.out.patches.join(TILE_IMAGE.out.qc).combine(stain_reference)
    }
    else {
        stained = TILE_IMAGE.out.patches.map { meta, patches -> [meta, patches, [], []] }
    }
    if (quantise) {
        sample = allInOrder(stained)
        QUANTISE_ENCODER(
            EXPORT_ENCODER.out.encoder,
            sample.map { all -> all.collect { element -> element[1] } },
            sample.map { all -> all.collectMany { element -> element[2] ? [element[2]] : [] } },
            sample.map { all -> all[0][3] },
        )
        encoder = QUANTISE_ENCODER.out.encoder
        quantise_versions = QUANTISE_ENCODER.out.versions
    }
    else {
        encoder = EXPORT_ENCODER.out.encoder
        quantise_versions = channel.empty()
    }
    EMBED_PATCHES(
        inGroups(stained, expected, 1)
            .map { all ->
                def (metas, patches, qcs, stains) = all.transpose()
                [metas*.id, patches, qcs.findAll(), stains[0]]
            }
            .combine(encoder),
    )
    embedded = bySample(EMBED_PATCHES.out.features, 2) // by name, features.json comes before features.npz

    emit:
    features = embedded.map { meta, _record, features -> [meta, features] } // [meta, features.npz]
    // [meta, image_qc.json, features.json, encoder.json]
    records = TILE_IMAGE.out.qc
        .join(embedded.map { meta, record, _features -> [meta, record] })
        .combine(encoder.map { _encoder, record -> record })
    stain_reference
    failures = TILE_IMAGE.out.failure.mix(EMBED_PATCHES.out.failures.flatten())
    versions = EXPORT_ENCODER.out.versions
        .mix(TILE_IMAGE.out.versions, stain_versions, quantise_versions, EMBED_PATCHES.out.versions)
}
