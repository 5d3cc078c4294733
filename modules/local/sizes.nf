// Bytes of the counts that READ_SECTION reads, for the memory it asks for: of a file its own, of a Space Ranger folder those of its
// largest matrix, of the bins asked for where there are bins. 0 where there is none to be seen: then the usual memory has to do.
def countBytes(folder, bin_um) {
    if (!folder.isDirectory()) {
        return folder.exists() ? folder.size() : 0
    }
    def bins = bin_um.toString().isInteger() ? bin_um.toString() : '8'
    def parts = ['', "binned_outputs/square_${bins.padLeft(3, '0')}um/"] + (bin_um == 'cells' ? ['segmented_outputs/'] : [])
    def names = ['feature_bc_matrix', 'feature_cell_matrix'].collectMany { name -> ["filtered_${name}.h5", "filtered_${name}/matrix.mtx.gz", "filtered_${name}/matrix.mtx"] }
    def paths = ['', 'outs/'].collectMany { outs -> parts.collectMany { part -> names.collect { name -> folder.resolve(outs + part + name) } } }
    return paths.findAll { path -> path.exists() }.collect { path -> path.size() }.max() ?: 0
}
