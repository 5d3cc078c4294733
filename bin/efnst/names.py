"""Names of keys and columns that more than one step reads or writes."""

SPATIAL = "spatial"  # obsm: x, y in full-resolution pixels
LABEL = "label"  # obs: the label given by the user, for scores only
UNIT = "unit"  # obs: number of a unit (of a bin or cell: the unit that it lies in)
N_BINS = "n_bins"  # obs: bins or cells of a unit
LATTICE = "X_lattice"  # obsm of bins: row and column in steps of the units' lattice
SECTION = "section"  # uns: geometry and image of the section
QC = "qc"  # uns: what section_qc.json holds
DOMAIN = "efnst"  # obs: the domains
NOVEL_DOMAIN = 0  # number of what a reference does not have
NOVELTY = "efnst_novelty"  # obs: 1 - how often known tissue lies as far from all domains of a reference
NAME = "efnst_name"  # obs: what labels of other sections call it
NAME_PROBABILITY = "efnst_name_probability"  # obs: of that name
CONFIDENCE = "efnst_confidence"  # obs: share of the votes that agree with the domain
DOMAIN_PROBABILITY = "efnst_domain_probability"  # obs of bins and cells: of the domain, by their own counts too
BASELINES = ("leiden", "diffused")  # obs: the two baselines
METHOD_TITLES = {DOMAIN: "EfNST", "diffused": "diffused", "leiden": "leiden"}  # in the order they are shown
PIPELINE_INFO = "pipeline_info"  # folder of a run's own records within its results
NO_IMAGE = "none"  # column image of the samplesheet, and source of the image: expression and position only
EMBEDDING = "X_efnst"  # obsm
DIFFUSED = "X_diffused"  # obsm
EXPRESSION_PCS = "X_pca"  # obsm
IMAGE_PCS = "X_image"  # obsm
PROVENANCE = "efnst"  # uns: parameters, versions, seed
PRECISION = "precision"  # metadata of an encoder's ONNX graph: fp32, fp16 or int8
MULTIPLY_ADDS = "multiply_adds"  # the same: multiplications with an addition for a patch
