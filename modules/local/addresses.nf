// Addresses can hold what nobody else may see: `user:password@`, or a signature after the `?`. It is cut out of all
// that a run writes; bin/efnst/inputs/addresses.py does the same.

// A text with `***` in the place of passwords and queries of the addresses in it.
def withoutSecrets(text) {
    return text
        .replaceAll(/([A-Za-z][A-Za-z0-9+.-]*:\/\/)[^\/\s"]*@/, '$1***@')
        .replaceAll(/([A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s"',;?]*)\?([^\s"',;]|[,;'](?=[^\s"',;]*[&=]))*/, '$1?***')
}

// What keeps the file or folder at this address from being brought to a task; null where nothing does.
def fileProblem(address) {
    try {
        def path = file(address, glob: false)
        return path.exists() ? (isReadable(path) ? null : 'which may not be read') : 'which does not exist'
    }
    catch (Exception problem) {
        return "which cannot be reached (${withoutSecrets(problem.message ?: problem.class.simpleName)})"
    }
}

def isReadable(path) {
    return !isLocal(path) || java.nio.file.Files.isReadable(path)
        && (!path.isDirectory() || java.nio.file.Files.isExecutable(path))
}

def isLocal(path) {
    return path.fileSystem == java.nio.file.FileSystems.default
}
