// Of an encoder of one's own: what its declaration says to Nextflow. The programs read it in full, and refuse what does
// not fit; here it is only searched, since a reader of JSON could be broken by it.

include { isLocal } from './addresses'

// The files beside an encoder that may hold its weights: those that the declaration names, else those with the usual
// names.
def weightsBeside(encoder, declaration) {
    def external = (textOf(declaration) =~ /"external"\s*:\s*\{([^}]*)\}/).collect { match -> match[1] }.join(',')
    def named = (external =~ /"([A-Za-z0-9][A-Za-z0-9._-]*)"\s*:/).collect { match -> match[1] }
    def names = named ?: ['.data', '_data'].collect { ending -> "${encoder.name}${ending}".toString() }
    def found = names.collect { name -> encoder.resolveSibling(name) }.findAll { path -> path.exists() }
    return found.findAll { path -> isBeside(path, encoder) } - [encoder, declaration]
}

// Whether a file lies in the folder of an encoder, links followed: what a task gets may be a copy, which no longer
// shows where it came from.
def isBeside(path, encoder) {
    return !isLocal(path) || path.toRealPath().parent == encoder.toRealPath().parent
}

// The declaration where it says at which scale the encoder works, so that patches are cut anew only for such a one.
def scaled(declaration) {
    return textOf(declaration) =~ /"um_per_px"\s*:/ ? declaration : []
}

// The text of a file, without that of one which is too large to declare anything.
def textOf(path) {
    return path.size() < 1000000 ? path.text : ''
}
