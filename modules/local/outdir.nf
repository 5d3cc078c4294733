// The folder of results: no input in it that results would be written over, or among.

// One line for each input that lies where results of the samples go. `inputs`: [what it is, path or address]; `outdir`
// and paths may lead through links.
def overwritten(inputs, outdir, samples) {
    def base = real(outdir)
    def places = samples + ['pipeline_info', 'models', 'reference', 'multiqc_report_data']
    def taken = (places + tablesOfCohort() + ['multiqc_report.html']).collect { name -> "${base}/${name}" }
    return inputs.collectMany { what, path -> clashes(real(path), taken).collect { place -> clash(what, path, place) } }
}

// The files of COHORT_SUMMARY that are published.
def tablesOfCohort() {
    def tables = ['domain_tests', 'mixing', 'proportions', 'sections', 'shared_gene_sets', 'shared_markers', 'summary']
    return tables.collect { name -> "${name}.csv" } + ['pseudobulk.h5ad', 'summary.parquet']
}

// The inputs that a row of the samplesheet names, as `overwritten` takes them.
def inputsOf(row) {
    def columns = ['section', 'image', 'labels'].findAll { column -> row[column] && row[column] != 'none' }
    return (row.problem ? [] : columns).collect { column -> ["${row.id}, column ${column}", row[column]] }
}

// The places of `taken` that the input is or lies in.
def clashes(input, taken) {
    return taken.findAll { place -> "${input}/".startsWith("${place}/") }
}

def clash(what, path, place) {
    return "${what}: found `${path}`, where results would be written (${place}); " +
        "give another --outdir, or rename the sample"
}

// A path without links, as far as it exists; an address as it is.
def real(path) {
    if (path.toString() =~ /^[A-Za-z][\w+.-]*:\/\//) {
        return path.toString()
    }
    def found = file(path, glob: false).toAbsolutePath().normalize()
    return found.exists() ? found.toRealPath().toString() : "${real(found.parent)}/${found.name}"
}

// One line where an earlier run into the folder made what this one does not make and so leaves there; `before` and
// `now` are the files of their parameters.
def leftThere(outdir, before, now) {
    def gone = before.exists() ? optionsOf(before) - optionsOf(now) : []
    return gone ? [
        "${outdir} has results that an earlier run made with ${gone.join(', ')}; this run leaves them there. " +
            '`./efnst explain` names them: remove them, or give another --outdir'
    ] : []
}

// The options by which a run makes files that others do not make; none where the file is damaged.
def optionsOf(file) {
    def settings = [:]
    try {
        settings = new groovy.json.JsonSlurper().parse(file) as Map
    }
    catch (groovy.json.JsonException _damaged) {
        return []
    }
    def all = ['loupe', 'geojson', 'figures', 'spatialdata']
    def exports = settings.exports == 'all' ? all : (settings.exports ?: '').tokenize(', ') - 'none'
    def given = ['reference', 'gene_sets', 'save_model', 'keep_bins'].findAll { name -> settings[name] }
    def scope = settings.scope == 'cohort' ? ['--scope cohort'] : []
    return scope + exports.collect { name -> '--exports ' + name } + given.collect { name -> '--' + name }
}
