// Bytes of the counts that READ_SECTION reads, for the memory it asks for: of a file its own, of a Space Ranger folder
// those of its largest matrix, of the bins asked for where there are bins. 0 where there is none to be seen: then the
// usual memory has to do.
def countBytes(folder, bin_um) {
    if (!folder.isDirectory()) {
        return folder.exists() ? folder.size() : 0
    }
    def bins = bin_um.toString().isInteger() ? bin_um.toString() : '8'
    def parts = ['', "binned_outputs/square_${bins.padLeft(3, '0')}um/"]
    def cells = bin_um == 'cells' ? ['segmented_outputs/'] : []
    def names = ['feature_bc_matrix', 'feature_cell_matrix'].collect { name -> "filtered_${name}" }
    def matrices = names.collectMany { name -> ["${name}.h5", "${name}/matrix.mtx.gz", "${name}/matrix.mtx"] }
    def places = ['', 'outs/'].collectMany { outs -> (parts + cells).collect { part -> outs + part } }
    def paths = places.collectMany { place -> matrices.collect { matrix -> folder.resolve(place + matrix) } }
    return paths.findAll { path -> path.exists() }.collect { path -> path.size() }.max() ?: 0
}

// Bytes that stand for the memory which running an encoder takes: that of small ones is what they compute, that of
// large ones their weights. `files`: the graph and any file of its weights.
def encoderBytes(files) {
    def size = [files].flatten().sum { path -> path.size() }
    return [size, 100000000].min() + size.intdiv(20)
}
