#!/usr/bin/env nextflow

include { ASSIGN_DOMAINS } from './modules/local/assign_domains'
include { CHECK_INPUTS } from './modules/local/check_inputs'
include { COHORT_SUMMARY } from './modules/local/cohort_summary'
include { DESCRIBE_DOMAINS } from './modules/local/describe_domains'
include { EMBED_PATCHES } from './modules/local/embed_patches'
include { EXPORT_DOMAINS } from './modules/local/export_domains'
include { EXPORT_ENCODER } from './modules/local/export_encoder'
include { FIT_STAIN } from './modules/local/fit_stain'
include { LEARN_EMBEDDING } from './modules/local/learn_embedding'
include { MULTIQC } from './modules/local/multiqc'
include { QUANTISE_ENCODER } from './modules/local/quantise_encoder'
include { READ_SECTION } from './modules/local/read_section'
include { SECTION_REPORT } from './modules/local/section_report'
include { TILE_IMAGE } from './modules/local/tile_image'
include { folderDigest } from './modules/local/digests'
include { platformProblems } from './modules/local/platform'
include { countBytes } from './modules/local/sizes'

// From sections to domains: each channel element is [meta, files…], meta.id the sample's name.
workflow FIND_DOMAINS {
    take:
    sections // [meta, files]: files = [folder, bin_um, image, labels, use_image, n_domains, n_clusters], [] for a file that is not given
    encoder // name of the encoder
    encoder_weights // file with its weights, or []
    own_encoder // [file, declaration] of an encoder of one's own, or []
    qc_rules // file of the rules for pass, warn and fail
    quantise // whether the encoder computes in int8
    normalise_stain // whether the patches are brought to a common stain before the encoder
    exports // whether domains are exported for other tools
    report_template // jinja2 template of the section's report, with the files it includes

    main:
    READ_SECTION(sections.map { meta, files -> [meta, files.use_image, files.folder, files.bin_um, files.image, files.labels, folderDigest(files.folder), countBytes(files.folder, files.bin_um)] }, qc_rules)
    read = READ_SECTION.out.section.join(sections).branch { _meta, _section, _qc, files ->
        with_image: files.use_image
        without_image: true
    }

    EXPORT_ENCODER(read.with_image.first().map { _first -> encoder }, encoder_weights, own_encoder)
    TILE_IMAGE(read.with_image.map { meta, section, _qc, files -> [meta, section, files.folder, files.image] }, qc_rules)
    tiled = TILE_IMAGE.out.patches
    if (normalise_stain) {
        FIT_STAIN(inOrder(TILE_IMAGE.out.qc.map { _meta, qc -> qc }).filter { all -> all.size() > 0 })
        stained = tiled.join(TILE_IMAGE.out.qc).combine(FIT_STAIN.out.reference)
        stain_versions = FIT_STAIN.out.versions
    }
    else {
        stained = tiled.map { meta, patches -> [meta, patches, [], []] }
        stain_versions = channel.empty()
    }
    if (quantise) {
        sample = stained.toSortedList { a, b -> a[0].id <=> b[0].id }.filter { all -> all.size() > 0 }
        QUANTISE_ENCODER(
            EXPORT_ENCODER.out.encoder,
            sample.map { all -> all.collect { element -> element[1] } },
            sample.map { all -> all.collectMany { element -> element[2] ? [element[2]] : [] } },
            sample.map { all -> all[0][3] },
        )
        ready_encoder = QUANTISE_ENCODER.out.encoder
        quantise_versions = QUANTISE_ENCODER.out.versions
    }
    else {
        ready_encoder = EXPORT_ENCODER.out.encoder
        quantise_versions = channel.empty()
    }
    EMBED_PATCHES(stained.combine(ready_encoder))

    with_features = read.with_image.map { meta, section, _qc, _files -> [meta, section] }.join(EMBED_PATCHES.out.features)
    without_features = read.without_image.map { meta, section, _qc, _files -> [meta, section, []] }
    LEARN_EMBEDDING(with_features.mix(without_features).join(sections.map { meta, files -> [meta, files.n_clusters] }))

    encoder_record = ready_encoder.map { _encoder, record -> record }
    image_records = TILE_IMAGE.out.qc.join(EMBED_PATCHES.out.record).combine(encoder_record)
        .mix(read.without_image.map { meta, _section, _qc, _files -> [meta, [], [], []] })
    ASSIGN_DOMAINS(
        READ_SECTION.out.section
            .map { meta, section, _qc -> [meta, section] }
            .join(LEARN_EMBEDDING.out.embedding)
            .join(sections.map { meta, files -> [meta, files.n_domains, files.folder, files.image] })
            .join(image_records)
    )
    DESCRIBE_DOMAINS(ASSIGN_DOMAINS.out.domains.map { meta, domains, _table, _record -> [meta, domains] })
    EXPORT_DOMAINS(ASSIGN_DOMAINS.out.domains.filter { _result -> exports }.map { meta, domains, _table, _record -> [meta, domains] })

    SECTION_REPORT(
        sections
            .map { meta, files -> [meta, files.folder, files.image] }
            .join(READ_SECTION.out.section.map { meta, _section, qc -> [meta, qc] })
            .join(image_records)
            .join(LEARN_EMBEDDING.out.embedding.map { meta, _embedding, training -> [meta, training] })
            .join(ASSIGN_DOMAINS.out.domains.map { meta, domains, _table, record -> [meta, domains, record] })
            .join(DESCRIBE_DOMAINS.out.description),
        report_template,
    )

    emit:
    summaries = SECTION_REPORT.out.summary
    thumbnails = SECTION_REPORT.out.thumbnail
    pseudobulk = DESCRIBE_DOMAINS.out.pseudobulk
    warnings = EXPORT_DOMAINS.out.warning
    failures = READ_SECTION.out.failure.mix(TILE_IMAGE.out.failure, EMBED_PATCHES.out.failure, LEARN_EMBEDDING.out.failure, ASSIGN_DOMAINS.out.failure, DESCRIBE_DOMAINS.out.failure, SECTION_REPORT.out.failure)
    versions = READ_SECTION.out.versions.mix(EXPORT_ENCODER.out.versions, TILE_IMAGE.out.versions, stain_versions, quantise_versions, EMBED_PATCHES.out.versions, LEARN_EMBEDDING.out.versions, ASSIGN_DOMAINS.out.versions, DESCRIBE_DOMAINS.out.versions, EXPORT_DOMAINS.out.versions, SECTION_REPORT.out.versions)
}

workflow {
    if (isTrue(params.help)) {
        println(helpText())
        exit(0)
    }
    if (isTrue(params.version)) {
        println("efnst ${workflow.manifest.version}")
        exit(0)
    }
    if (!params.input || !file(params.input).exists()) {
        error("Expected --input to name a samplesheet, found ${params.input ? "`${params.input}`, which does not exist" : 'nothing'}. `--help` lists the parameters.")
    }
    refusals = workflow.stubRun ? [] : platformProblems(params, workflow.workDir.toUriString())
    if (refusals) {
        error((['This run could not do what it was asked to:'] + refusals).join('\n  '))
    }
    sheet = file(params.input)
    CHECK_INPUTS(
        sheet,
        sheet.toAbsolutePath().parent.toUriString(),
        channel.of(groovy.json.JsonOutput.toJson(params)).collectFile(name: 'parameters.json'),
        [file("${projectDir}/nextflow_schema.json"), file("${projectDir}/assets/samplesheet_schema.json")],
    )
    channel.of(runRecord()).collectFile(name: 'run.json', storeDir: "${params.outdir}/pipeline_info")
    checked = CHECK_INPUTS.out.problems
        .map { problems -> problems.size() > 0 ? error(problems.text) : true }
        .combine(CHECK_INPUTS.out.sections.splitJson())
        .map { _sound, row -> [[id: row.id], sectionFiles(row)] }
        .branch { _meta, files ->
            missing: files.missing
            found: true
        }

    FIND_DOMAINS(
        checked.found,
        params.encoder,
        params.encoder_weights ? file(params.encoder_weights, checkIfExists: true) : [],
        params.encoder_onnx ? withDeclaration(params.encoder_onnx) : [],
        file(params.qc_rules ?: "${projectDir}/assets/qc_rules.yml", checkIfExists: true),
        params.precision == 'int8',
        params.stain_normalisation != 'none',
        params.exports != 'none',
        files("${projectDir}/assets/section_report/*").sort(),
    )

    missing = checked.missing.collectFile { meta, files -> ["${meta.id}.json", missingRecord(meta.id, files.missing)] }
    COHORT_SUMMARY(
        CHECK_INPUTS.out.sections,
        inOrder(FIND_DOMAINS.out.summaries),
        inOrder(FIND_DOMAINS.out.thumbnails),
        inOrder(FIND_DOMAINS.out.pseudobulk),
        inOrder(FIND_DOMAINS.out.failures.mix(missing).map { failure -> accepted(failure) }),
        inOrder(FIND_DOMAINS.out.warnings),
        inOrder(FIND_DOMAINS.out.versions.mix(CHECK_INPUTS.out.versions)),
    )
    MULTIQC(COHORT_SUMMARY.out.multiqc, file("${projectDir}/assets/multiqc_config.yml"), params.multiqc_title ?: '')

    workflow.onComplete = {
        if (workflow.success) {
            log.info("efnst: the cohort's report is ${params.outdir}/multiqc_report.html")
        }
    }
}

// Booleans arrive as text from the command line under the strict parser.
def isTrue(value) {
    return value.toString() == 'true'
}

// The file of an encoder of one's own and, beside it, the JSON file that declares its input.
def withDeclaration(encoder) {
    return [encoder, encoder.replaceFirst(/\.[^.\/]+$/, '') + '.json'].collect { name -> file(name, checkIfExists: true) }
}

// The text of --help, made from the parameters' schema.
def helpText() {
    def groups = new groovy.json.JsonSlurper().parse(file("${projectDir}/nextflow_schema.json")).get('$defs').values()
    def lines = groups.collectMany { group ->
        def entries = group.properties.findAll { _name, entry -> !entry.hidden }.collect { name, entry ->
            def preset = entry.default == null || entry.default == '' ? '' : " [${entry.default}]"
            "  --${name.padRight(20)} ${entry.description}${preset}"
        }
        ["\n${group.title}"] + entries
    }
    return (['Usage: nextflow run main.nf --input samplesheet.csv --outdir results [options]'] + lines).join('\n')
}

// What only Nextflow knows of this run, as JSON, for `efnst explain`.
def runRecord() {
    def record = [
        command: workflow.commandLine,
        launch_dir: workflow.launchDir.toString(),
        project_dir: workflow.projectDir.toString(),
        profile: workflow.profile,
        container_engine: workflow.containerEngine ?: 'none',
        nextflow: workflow.nextflow.version.toString(),
        efnst: workflow.manifest.version,
        started: workflow.start.toString(),
    ]
    return groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(record)) + '\n'
}

// The files of one row of the samplesheet; `missing` lists those that do not exist.
def sectionFiles(row) {
    def use_image = row.image != 'none' && isTrue(params.use_image)
    def paths = [section: row.section, image: use_image ? row.image : '', labels: row.labels]
    def missing = paths.findAll { _column, path -> path && !file(path).exists() }
    return [
        folder: file(row.section),
        bin_um: row.bin_um ?: '', // empty: READ_SECTION takes 8 where there are bins
        image: paths.image ? file(paths.image) : [],
        labels: paths.labels ? file(paths.labels) : [],
        use_image: use_image,
        n_domains: row.n_domains ?: '', // empty: ASSIGN_DOMAINS chooses
        // The network knows the number of domains in deep embedded clustering only: another number needs no other training.
        n_clusters: params.dec_epochs.toInteger() > 0 ? row.n_domains : 0,
        missing: missing,
    ]
}

// The record of a section that names files which do not exist.
def missingRecord(sample, missing) {
    def found = missing.collect { column, path -> "column ${column} names `${path}`" }.join(', ')
    def reason = "${sample}: ${found}, which does not exist. Correct the path in the samplesheet."
    return groovy.json.JsonOutput.toJson([sample: sample, step: 'check_inputs', reason: reason])
}

// A failed section's record; with --strict it ends the run.
def accepted(failure) {
    return isTrue(params.strict) ? error(new groovy.json.JsonSlurper().parse(failure).reason) : failure
}

// All files of a channel in one list whose order does not depend on which task ended first, so that -resume finds it again.
def inOrder(files) {
    return files.toSortedList { file -> file.toString() }
}
