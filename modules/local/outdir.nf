// The folder of results: no input in it that results would be written over, or among.

// One line for each input that lies where results of the samples go. `inputs`: [what it is, path or address]; `outdir`
// and paths may lead through links.
def overwritten(inputs, outdir, samples) {
    def base = real(outdir)
    def places = samples + ['pipeline_info', 'models', 'reference', 'multiqc_report_data']
    def files = ['multiqc_report.html', 'sections.csv', 'summary.csv', 'summary.parquet']
    def taken = (places + files).collect { name -> "${base}/${name}" }
    return inputs.collectMany { what, path -> clashes(real(path), taken).collect { place -> clash(what, path, place) } }
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
