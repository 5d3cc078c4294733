// Digests that become part of a task, so that -resume redoes a step exactly when something it depends on has changed:
// Nextflow itself hashes neither the modules that a program imports nor the files below an input folder. It hashes a
// script before the values are filled in, with the values of inputs and of task.ext: a digest has to be one of these.

include { isReadable } from './addresses'

// Digest of a program in bin/ and of all modules of bin/efnst/ that it imports, directly or through others.
def codeDigest(program) {
    def files = withImports([file("${projectDir}/bin/${program}")], [file("${projectDir}/bin/efnst/__init__.py")])
    def paths = files.collect { source -> source.toString() }.sort()
    return paths.collect { path -> file(path).text }.join('\u0000').md5().take(16)
}

// The files in `seen` and the `open` ones with all they import. Imports are always `from efnst.package.module import
// …`.
def withImports(open, seen) {
    if (!open) {
        return seen
    }
    def known = seen + open
    def lines = open.collectMany { source -> source.readLines() }
    def found = lines.collect { line -> (line =~ /^\s*from efnst\.([\w.]+) import /) }.findAll { match -> match }
    def sources = found.collectMany { match -> sourcesOf(match[0][1].tokenize('.')) }.unique()
    def next = sources.findAll { source -> source.exists() && !(source in known) }
    return withImports(next, known)
}

// The file of the module with this dotted name below efnst, and those of the packages it lies in.
def sourcesOf(parts) {
    def packages = (1..<parts.size()).collect { depth -> "${parts.take(depth).join('/')}/__init__.py" }
    return (packages + ["${parts.join('/')}.py"]).collect { path -> file("${projectDir}/bin/efnst/${path}") }
}

// Digest of the names, sizes and times of all files below a folder, or of one file, and of which may not be read: a
// section that failed over that is read again when it may. Links are followed.
def folderDigest(folder) {
    return filesBelow(folder, 8).sort().join('\n').md5().take(16)
}

// One line for each file at most `depth` folders below `path`; Visium HD nests five, a zarr more. A folder that may not
// be read counts as a file: whoever needs it will say so.
def filesBelow(path, depth) {
    if (path.isDirectory() && isReadable(path)) {
        def children = java.nio.file.Files.list(path).withCloseable { listed -> listed.toList() }
        return depth > 0 ? children.collectMany { child -> filesBelow(child, depth - 1) } : []
    }
    def closed = isReadable(path) ? '' : ' closed'
    return path.exists() ? ["${path} ${path.size()} ${path.lastModified()}${closed}".toString()] : []
}
