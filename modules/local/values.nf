// Booleans arrive as text from the command line under the strict parser.
def isTrue(value) {
    return value.toString() == 'true'
}

// What the schema of the parameters says of each of them.
def describedParameters() {
    def schema = new groovy.json.JsonSlurper().parse(file("${projectDir}/nextflow_schema.json"))
    return schema.get('$defs').values().collectEntries { group -> group.properties }
}

// The names of the parameters that name a file or folder to be read.
def inputParameters(settings) {
    return describedParameters().findAll { name, about -> about.format && name != 'outdir' && settings[name] }.keySet()
}
