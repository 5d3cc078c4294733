// Everything that reaches a shell goes through these: whatever a value holds, the program gets it unchanged.

// A value as one word of a command line. A newline is written as $'\n', so that the script around it keeps its lines.
def quoted(value) {
    return "'" + value.toString().replace("'", "'\\''").replace('\n', "'\$'\\n''") + "'"
}

// The options `--name='value'` of a map; those without a value (null, or [] for a file) are left out.
def options(values) {
    def given = values.findAll { _name, value -> value != null && value != [] }
    return given.collect { name, value -> "--${name}=${quoted(plain(value))}" }.join(' ')
}

// The names of files, quoted, as further arguments of a program; `files` may be one file, or [].
def arguments(files) {
    return [files].flatten().collect { file -> quoted(plain(file)) }.join(' ')
}

// A staged file by its name in the task's folder: as text, Nextflow would escape some of its characters for the shell.
def plain(value) {
    return value instanceof java.nio.file.Path ? value.name : value
}
