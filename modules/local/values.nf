// Booleans arrive as text from the command line under the strict parser.
def isTrue(value) {
    return value.toString() == 'true'
}

// What the schema of the parameters says of each of them.
def describedParameters() {
    def schema = new groovy.json.JsonSlurper().parse(file("${projectDir}/nextflow_schema.json"))
    return schema.get('$defs').values().collectEntries { group -> group.properties }
}

// The parameters with all text as text: of `--outdir 2024`, and of the same in JSON, Nextflow makes a number.
def withTexts(settings) {
    def texts = textNames()
    return settings.collectEntries { name, value -> [name, name in texts ? value?.toString() : value] }
}

// One line for each parameter of text without a value, with one that is no text, or with another one than the command
// line or the file of parameters, where Nextflow read it as a number. `given` are the parameters as Nextflow has them.
def lostProblems(given, command) {
    def settings = withTexts(given)
    def texts = textNames()
    def lost = texts.findAll { name ->
        settings[name] in ['true', 'false'] || name == 'outdir' && !settings[name]
    }
    def kinds = texts.collectEntries { name -> [name, kindOf(given[name])] }.findAll { _name, kind -> kind }
    def read = texts.findAll { name -> given[name] instanceof Number }
    def written = read ? writtenParameters(command) : [:]
    def typed = read.collectEntries { name -> [name, asTyped(command, name) ?: written[name]] }
    def changed = typed.findAll { name, text -> text && text != settings[name] }
    return lost.collect { name -> "parameter --${name}: found ${lostValue(settings[name])}, expected a value" } +
        kinds.collect { name, kind -> "parameter --${name}: found ${kind}, expected text; write it in quotes" } +
        changed.collect { name, text ->
            "parameter --${name}: found `${text}`, which Nextflow read as the number ${settings[name]}; start the " +
                'run with `./efnst run`, or give the value in quotes in a file for -params-file'
        }
}

def lostValue(value) {
    return value ? "${value} (an option without a value arrives as true)" : 'nothing'
}

// The value of an option as it stands on a command line; null where it does not.
def asTyped(command, name) {
    def words = command.tokenize(' ')
    def place = words.findLastIndexOf { word -> word == "--${name}" || word.startsWith("--${name}=") }
    return place < 0 ? null : words[place].contains('=') ? words[place].drop(name.size() + 3) : words[place + 1]
}

// What a value is that a file of parameters gives in place of text, in words; null of text and of what can be a text.
def kindOf(value) {
    if (value == null || value instanceof CharSequence || value instanceof Number || value instanceof Boolean) {
        return null
    }
    if (value instanceof Date) {
        return "the date ${value.toInstant().toString() - 'T00:00:00Z'}"
    }
    if (value instanceof Collection) {
        return "a list (${value.join(',')} would be its values as one text)"
    }
    return value instanceof Map ? "a map (${value.keySet().join(', ')})" : "a ${value.getClass().simpleName}"
}

// The values in the file of parameters that a command line names, JSON or YAML, as they stand there: a number is the
// text that it was read from. Empty where there is no file, or none to be found.
def writtenParameters(command) {
    def words = command.tokenize(' ').dropWhile { word -> word != '-params-file' }.drop(1)
    def named = words.indices.collect { last -> words.take(last + 1).join(' ').replaceAll(/^'(.*)'$/, '$1') }
    def found = (named + [System.getenv('NXF_PARAMS_FILE')]).find { name -> name && file(name, glob: false).exists() }
    def text = found ? file(found, glob: false).text : ''
    // JSON is YAML but for tabs and some escapes, neither of which is in a number.
    def yaml = found ==~ /(?i).+\.json/ ? text.replaceAll(/\\.|\t/, ' ') : text
    def top = new org.yaml.snakeyaml.Yaml().compose(new StringReader(yaml))
    return top ? top.value.collectEntries { pair -> [pair.keyNode.value, pair.valueNode.value] } : [:]
}

// The names of the parameters that are text.
def textNames() {
    return describedParameters().findAll { _name, about -> about.type == 'string' }.keySet()
}

// The names of the parameters that name a file or folder to be read.
def inputParameters(settings) {
    return describedParameters().findAll { name, about -> about.format && name != 'outdir' && settings[name] }.keySet()
}

// The parameters of a step with the folder that runs share in full: each task starts in a folder of its own.
def withSharedFolder(parameters) {
    def folder = parameters.encoder_cache
    return folder ? parameters + [encoder_cache: launchDir.resolve(folder.toString()).toString()] : parameters
}
