#!/usr/bin/env nextflow

include { APPLY_REFERENCE } from './modules/local/apply_reference'
include { ASSIGN_DOMAINS } from './modules/local/assign_domains'
include { CHECK_INPUTS } from './modules/local/check_inputs'
include { COHORT_SUMMARY } from './modules/local/cohort_summary'
include { DESCRIBE_DOMAINS } from './modules/local/describe_domains'
include { DESCRIBE_PATCHES } from './modules/local/describe_patches'
include { EXPORT_DOMAINS } from './modules/local/export_domains'
include { LEARN } from './modules/local/learn'
include { MULTIQC } from './modules/local/multiqc'
include { READ_SECTION } from './modules/local/read_section'
include { SECTION_REPORT } from './modules/local/section_report'
include { folderDigest } from './modules/local/digests'
include { fileProblem ; isLocal ; withoutSecrets } from './modules/local/addresses'
include { weightsBeside } from './modules/local/own_encoder'
include { accepted ; failureRecord ; reasonOf } from './modules/local/failures'
include { inputsOf ; leftThere ; overwritten } from './modules/local/outdir'
include { inOrder } from './modules/local/order'
include { lateProblems ; pathProblems ; platformProblems ; referenceProblems } from './modules/local/platform'
include { secretProblems ; textProblems } from './modules/local/platform'
include { advance ; startedProgress ; tell } from './modules/local/progress'
include { countBytes } from './modules/local/sizes'
include { inputParameters ; isTrue ; lostProblems ; withTexts } from './modules/local/values'

// From sections to domains and their reports.
workflow FIND_DOMAINS {
    take:
    // [meta, files]: files = [source, bin_um, library, image, labels, use_image, n_domains, group], [] where not given
    sections
    together // whether domains are found in all sections together
    reference // folder of an earlier run whose domains are found again, or []
    encoder_weights // file with the weights of the encoder, or []
    own_encoder // [file, declaration, file of weights…] of an encoder of one's own, or []
    qc_rules // file of the rules for pass, warn and fail
    quantise // whether the encoder computes in int8
    normalise_stain // whether the patches are brought to a common stain before the encoder
    exports // whether domains are exported for other tools
    gene_sets // file of gene sets, or []
    report_template // jinja2 template of the section's report, with the files it includes

    main:
    READ_SECTION(sections.map { meta, files -> [meta] + toRead(files) }, qc_rules)
    read = READ_SECTION.out.section.join(sections).branch { _meta, _section, _qc, files ->
        with_image: files.use_image
        without_image: true
    }
    DESCRIBE_PATCHES(
        sections.filter { _meta, files -> files.use_image },
        read.with_image.map { meta, section, _qc, files -> [meta, section, files.source, files.image] },
        encoder_weights,
        own_encoder,
        qc_rules,
        quantise,
        normalise_stain,
        [reference ? reference.resolve('stain_reference.json') : null].findAll { path -> path?.exists() },
    )
    with_features = read.with_image
        .map { meta, section, _qc, _files -> [meta, section] }
        .join(DESCRIBE_PATCHES.out.features)
    image_records = DESCRIBE_PATCHES.out.records
        .mix(read.without_image.map { meta, _section, _qc, _files -> [meta, [], [], []] })
    to_learn = with_features.mix(read.without_image.map { meta, section, _qc, _files -> [meta, section, []] })
    fits = to_learn.map { meta, _section, _features -> [meta, []] }
    if (reference) {
        digest = folderDigest(reference)
        encoders = image_records.map { meta, _qc, _features, encoder -> [meta, encoder] }
        given = sections.map { meta, files -> [meta, files.group, digest] }
        APPLY_REFERENCE(to_learn.join(encoders).join(given), reference)
        tell(APPLY_REFERENCE.out.warnings)
        embeddings = APPLY_REFERENCE.out.embedding
        fits = APPLY_REFERENCE.out.fit
        shared = reference
        learning_failures = APPLY_REFERENCE.out.failure
        learning_versions = APPLY_REFERENCE.out.versions
    }
    else {
        encoders = DESCRIBE_PATCHES.out.records.map { _meta, _qc, _features, encoder -> encoder }
        given = sections.map { meta, files -> [meta, files.group, files.n_domains] }
        stain_reference = DESCRIBE_PATCHES.out.stain_reference.toList().map { all -> all ? all[0] : [] }
        LEARN(to_learn, given, encoders.first().ifEmpty([]), stain_reference, together)
        embeddings = LEARN.out.embeddings
        shared = LEARN.out.reference
        learning_failures = LEARN.out.failures
        learning_versions = LEARN.out.versions
    }

    ASSIGN_DOMAINS(
        READ_SECTION.out.section
            .map { meta, section, _qc -> [meta, section] }
            .join(embeddings)
            .join(oneOrNone(READ_SECTION.out.bins))
            .join(sections.map { meta, files -> [meta, files.n_domains, files.source, files.image] })
            .join(image_records)
            .join(fits),
        shared,
    )
    final_sections = ASSIGN_DOMAINS.out.domains.map { meta, domains, _table, _record -> [meta, domains] }
    DESCRIBE_DOMAINS(final_sections, gene_sets)
    bins = oneOrNone(ASSIGN_DOMAINS.out.bins)
    EXPORT_DOMAINS(final_sections.join(bins).filter { _section -> exports })

    SECTION_REPORT(
        sections
            .map { meta, files -> [meta, files.source, files.image] }
            .join(READ_SECTION.out.section.map { meta, _section, qc -> [meta, qc] })
            .join(image_records)
            .join(embeddings.map { meta, _embedding, training -> [meta, training] })
            .join(final_sections)
            .join(bins)
            .join(ASSIGN_DOMAINS.out.domains.map { meta, _domains, _table, record -> [meta, record] })
            .join(DESCRIBE_DOMAINS.out.description),
        report_template,
    )

    emit:
    steps = READ_SECTION.out.section
        .map { _section -> 'read' }
        .mix(
            to_learn.map { _section -> 'prepared' },
            embeddings.map { _embedding -> 'learned' },
            final_sections.map { _section -> 'assigned' },
            DESCRIBE_DOMAINS.out.description.map { _description -> 'described' },
            SECTION_REPORT.out.summary.map { _summary -> 'done' },
        ) // that a section has passed
    summaries = SECTION_REPORT.out.summary
    thumbnails = SECTION_REPORT.out.thumbnail
    pseudobulk = DESCRIBE_DOMAINS.out.pseudobulk
    described = DESCRIBE_DOMAINS.out.folder
    warnings = EXPORT_DOMAINS.out.warning
    failures = READ_SECTION.out.failure.mix(
        DESCRIBE_PATCHES.out.failures,
        learning_failures,
        ASSIGN_DOMAINS.out.failure,
        DESCRIBE_DOMAINS.out.failure,
        SECTION_REPORT.out.failure,
    )
    versions = READ_SECTION.out.versions.mix(
        DESCRIBE_PATCHES.out.versions,
        learning_versions,
        ASSIGN_DOMAINS.out.versions,
        DESCRIBE_DOMAINS.out.versions,
        EXPORT_DOMAINS.out.versions,
        SECTION_REPORT.out.versions,
    )
}

workflow {
    if (isTrue(params.help)) {
        println(file("${projectDir}/assets/help.txt").text)
        exit(0)
    }
    if (isTrue(params.version)) {
        println("efnst ${workflow.manifest.version}")
        exit(0)
    }
    settings = withTexts(params)
    refuse(settings, workflow.workDir.toUriString(), workflow.stubRun)
    lock = claim(settings.outdir)
    reference = settings.reference ? file(settings.reference, glob: false, checkIfExists: true) : []
    gene_sets = settings.gene_sets ? file(settings.gene_sets, glob: false, checkIfExists: true) : []
    sheet = file(settings.input, glob: false)
    CHECK_INPUTS(
        channel.of(sheet)
            .map { path -> sheetCopy(path) }
            .collectFile(name: sheet.name ==~ /(?i).+\.ya?ml/ ? 'samplesheet.yaml' : 'samplesheet.csv'),
        sheet.toAbsolutePath().parent.toUriString(),
        channel.of(withoutSecrets(groovy.json.JsonOutput.toJson(settings))).collectFile(name: 'parameters.json'),
        [file("${projectDir}/nextflow_schema.json"), file("${projectDir}/assets/samplesheet_schema.json")],
        gene_sets,
        reference,
    )
    tell(CHECK_INPUTS.out.warnings)
    checked = CHECK_INPUTS.out.problems
        .map { problems -> problems.size() > 0 ? error(problems.text) : true }
        .combine(CHECK_INPUTS.out.sections.map { listed -> besideResults(settings, listed) })
        .combine(CHECK_INPUTS.out.parameters)
        .map { _sound, listed, parameters -> recorded(settings.outdir, listed, parameters) }
        .splitJson()
        .map { row -> [[id: row.id], sectionFiles(row, isTrue(settings.use_image))] }
        .branch { _meta, files ->
            unusable: files.problem
            found: true
        }

    FIND_DOMAINS(
        checked.found,
        settings.scope == 'cohort',
        reference,
        settings.encoder_weights ? file(settings.encoder_weights, glob: false, checkIfExists: true) : [],
        settings.encoder_onnx ? withDeclaration(settings.encoder_onnx) : [],
        file(settings.qc_rules ?: "${projectDir}/assets/qc_rules.yml", glob: false, checkIfExists: true),
        settings.precision == 'int8',
        settings.stain_normalisation != 'none',
        settings.exports != 'none',
        gene_sets,
        file("${projectDir}/assets/section_report", glob: false).listFiles().toList().sort(),
    )

    progress = startedProgress()
    checked.found.mix(checked.unusable).subscribe { _section -> progress.sections.incrementAndGet() }
    FIND_DOMAINS.out.steps.subscribe { step -> advance(progress, step) }
    unusable = checked.unusable
        .collectFile { meta, files -> ["${meta.id}.json", failureRecord(meta.id, 'check_inputs', files.problem)] }
    failures = FIND_DOMAINS.out.failures.mix(unusable)
    failures.subscribe { failure ->
        log.warn("efnst: ${reasonOf(failure)}")
        advance(progress, 'failed')
    }

    COHORT_SUMMARY(
        CHECK_INPUTS.out.sections,
        inOrder(FIND_DOMAINS.out.summaries),
        inOrder(FIND_DOMAINS.out.thumbnails),
        inOrder(FIND_DOMAINS.out.pseudobulk),
        inOrder(FIND_DOMAINS.out.described),
        inOrder(failures.map { failure -> accepted(failure) }),
        inOrder(FIND_DOMAINS.out.warnings),
        inOrder(FIND_DOMAINS.out.versions.mix(CHECK_INPUTS.out.versions)),
        settings.scope == 'cohort' || settings.reference ? true : false, // whether a domain is the same in all sections
    )
    tell(COHORT_SUMMARY.out.warnings)
    MULTIQC(COHORT_SUMMARY.out.multiqc, file("${projectDir}/assets/multiqc_config.yml"), settings.multiqc_title ?: [])

    workflow.onComplete = {
        lock?.release()
        if (workflow.success && !workflow.preview) {
            log.info("efnst: the cohort's report is ${settings.outdir}/multiqc_report.html")
        }
    }
}

// Ends the run where a look at the parameters and at this machine already says that it cannot be done.
def refuse(settings, work, is_stub) {
    def secrets = secretProblems(settings) ?: lostProblems(params, workflow.commandLine)
    def sheet_problem = secrets ? null : settings.input ? fileProblem(settings.input) : 'found nothing'
    if (sheet_problem) {
        def found = settings.input ? "found `${settings.input}`, ${sheet_problem}" : sheet_problem
        error("Expected --input to name a samplesheet, ${found}. `--help` lists the parameters.")
    }
    def here = is_stub ? [] : platformProblems(settings, work) + referenceProblems(settings.reference)
    def over = settings.outdir ? overwritten(ownInputs(settings), settings.outdir, []) : []
    def both = settings.reference && settings.scope == 'cohort'
        ? ['Expected --scope cohort or --reference, found both: with a reference nothing is learned. Leave one out.']
        : []
    def texts = textProblems(settings) + pathProblems(settings) + lateProblems(settings)
    def problems = secrets ?: texts + both + here + over
    if (problems) {
        error((['This run could not do what it was asked to:'] + problems).join('\n  '))
    }
}

// The files that parameters name, with the parameter.
def ownInputs(settings) {
    return inputParameters(settings).collect { name -> ["parameter --${name}", settings[name]] }
}

// sections.json where no input lies where results go; else the run ends, before anything is written there.
def besideResults(settings, listed) {
    def rows = new groovy.json.JsonSlurper().parse(listed)
    def inputs = ownInputs(settings) + rows.collectMany { row -> inputsOf(row) }
    def problems = overwritten(inputs, settings.outdir, rows.collect { row -> row.id })
    return problems ? error((['Inputs of this run would be overwritten:'] + problems).join('\n  ')) : listed
}

// The file of an encoder of one's own and, beside it, the JSON file that declares its input and any files of weights.
def withDeclaration(encoder) {
    def names = [encoder, encoder.replaceFirst(/\.[^.\/]+$/, '') + '.json']
    def found = names.collect { name -> file(name, glob: false, checkIfExists: true) }
    return found + weightsBeside(found[0], found[1])
}

// sections.json, after the record of this run has taken the place of an earlier one's: a run that is refused leaves
// that, since the results are still those of the earlier one.
def recorded(outdir, listed, parameters) {
    def info = file("${outdir}/pipeline_info", glob: false)
    info.mkdirs()
    leftThere(outdir, info.resolve('parameters.json'), parameters).each { line -> log.warn("efnst: ${line}") }
    listed.copyTo(info.resolve('sections.json'))
    parameters.copyTo(info.resolve('parameters.json'))
    info.resolve('run.json').text = runRecord()
    return listed
}

// What only Nextflow knows of this run, as JSON, for `efnst explain`.
def runRecord() {
    def record = [
        command: withoutSecrets(workflow.commandLine),
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

// The samplesheet as a task gets it. Bytes that are no UTF-8 stay, for the task to complain of.
def sheetCopy(sheet) {
    return withoutSecrets(new String(sheet.bytes, 'ISO-8859-1')).getBytes('ISO-8859-1')
}

// The files of one row of the samplesheet; where `problem` says what is wrong with them, there are none.
def sectionFiles(row, with_images) {
    def use_image = row.image != 'none' && with_images
    def given = [section: row.section, image: use_image ? row.image : '', labels: row.labels]
    def paths = given.findAll { _column, path -> path }
    def problem = row.problem ?: filesProblem(paths)
    if (problem) {
        return [problem: problem]
    }
    def found = paths.collectEntries { column, path -> [column, file(path, glob: false)] }
    return [
        source: found.section,
        bin_um: row.bin_um ?: [], // READ_SECTION takes 8 where there are bins
        library: row.library ?: [],
        image: found.image ?: [],
        labels: found.labels ?: [],
        use_image: use_image,
        n_domains: row.n_domains ?: [], // ASSIGN_DOMAINS chooses
        group: row.group,
    ]
}

// What is wrong with the paths of a section, by column; empty where nothing is.
def filesProblem(paths) {
    def problems = paths
        .collectEntries { column, path -> [column, fileProblem(path)] }
        .findAll { _column, text -> text }
    def found = problems.collect { column, text -> "column ${column} names `${paths[column]}`, ${text}" }.join('; ')
    return found ? "${found}. Correct the path in the samplesheet." : ''
}

// What READ_SECTION takes of a section's files.
def toRead(files) {
    def given = [files.use_image, files.source, files.bin_um, files.library, files.image, files.labels]
    return given + [folderDigest(files.source), countBytes(files.source, files.bin_um)]
}

// The output folder for this run alone, held until it ends in whatever way; null where there is no such lock.
def claim(outdir) {
    def folder = file("${outdir}/pipeline_info", glob: false)
    if (!isLocal(folder)) {
        return null
    }
    folder.mkdirs()
    def lock = new RandomAccessFile(folder.resolve('.lock').toFile(), 'rw').channel.tryLock()
    return lock ?: error(
        "Expected --outdir for this run alone, found that another run writes to ${outdir}. Wait for its end, or name " +
            'another folder.'
    )
}

// [meta, file] of [meta, files], [] for no file.
def oneOrNone(files) {
    return files.map { meta, found -> [meta, found ? found[0] : []] }
}
