"""Records of a run: its sections, how they ended, and what each tells the cohort's report."""

from efnst.records.base import Number, Record, about
from efnst.records.domains import Adjacency, MethodFigures
from efnst.records.quality import SpotQuantiles, Status


class SheetRow(Record):
    """A section as the samplesheet names it."""

    id: str = about("name of the section")
    section: str = about("full path of its folder, archive, .h5ad or zarr")
    image: str = about("full path of its image; `none`: without, empty: the best one of the section")
    labels: str = about("full path of its labels; empty where there are none")
    n_domains: int | None = about("number of domains; null where it is to be chosen")
    problem: str = about("why its files cannot be brought to a task; empty where nothing is wrong")
    group: str = about("group of the section in the cohort's report; empty where there is none")
    bin_um: int | str = about("width of the bins of Visium HD; empty: as the section has them", "µm")
    library: str = about("which section of several in one file or folder; empty where there is one")
    covariates: dict[str, str] = about("the further columns of the samplesheet; empty where nothing is known")


class RunRecord(Record):
    """What only Nextflow knows of a run."""

    command: str = about("command line")
    launch_dir: str = about("folder that it was started in")
    project_dir: str = about("folder of the pipeline")
    profile: str = about("profiles, separated by commas")
    container_engine: str = about("what ran the containers, or `none`")
    nextflow: str = about("version of Nextflow")
    efnst: str = about("version of efnst")
    started: str = about("time of the start, ISO 8601")


class Failure(Record):
    """Why a step ended, or what a section does without."""

    sample: str = about("name of the section; empty for a step that all sections need")
    step: str = about("program that ended")
    reason: str = about("the message for the user")


class SectionSummary(Record):
    """A section's row of sections.csv, its rows of summary.csv, and what the cohort's report shows of it."""

    sample: str = about("name of the section")
    status: Status = about("fail by a rule of quality control, else warn where there are warnings")
    warnings: list[str] = about("what the user should know")
    n_spots_in_tissue: int = about("as in section_qc.json", "spots")
    n_spots_kept: int = about("as in section_qc.json", "spots")
    median_counts: float = about("as in section_qc.json", "counts")
    median_genes: float = about("as in section_qc.json", "genes")
    median_pct_mt: float | None = about("as in section_qc.json", "%")
    n_domains_asked: int = about("number of domains given or chosen")
    n_domains_found: int = about("number of domains found")
    image_source: str = about("which image was used")
    efnst_chaos: float = about("CHAOS of EfNST")
    leiden_chaos: float = about("CHAOS of the baseline")
    diffused_chaos: float = about("CHAOS of the baseline")
    efnst_pas: float = about("PAS of EfNST")
    leiden_pas: float = about("PAS of the baseline")
    diffused_pas: float = about("PAS of the baseline")
    efnst_silhouette: float | None = about("silhouette of EfNST")
    leiden_silhouette: float | None = about("silhouette of the baseline")
    diffused_silhouette: float | None = about("silhouette of the baseline")
    ari_efnst: float | None = about("ARI of EfNST, where labels were given", optional=True)
    ari_leiden: float | None = about("ARI of the baseline, where labels were given", optional=True)
    ari_diffused: float | None = about("ARI of the baseline, where labels were given", optional=True)
    novel_share: float | None = about("with --reference: `novel` of reference_fit.json", optional=True)
    verdict: Status | None = about("with --reference: how the section fits it", optional=True)
    names: dict[str, str] | None = about("with --learn_labels: `names` of domains.json", optional=True)
    named_macro_f1: float | None = about("of a section whose labels taught: `named` of domains.json", optional=True)
    named_ari: float | None = about("the same", optional=True)
    named_known: float | None = about("the same", optional=True)
    device: str = about("where the network was trained")
    seconds: float = about("time of all trainings; scope cohort: its share; with --reference 0", "s")
    methods: dict[str, MethodFigures] = about("rows of summary.csv, by method")
    efnst_stability: float | None = about("mean ARI of all pairs of trainings; null with a single one")
    encoder: str | None = about("name of the encoder; null without an image")
    encoder_device: str | None = about("where the encoder ran")
    provider: str | None = about("execution provider of onnxruntime")
    precision: str | None = about("number format of the encoder")
    patches_per_second: float | None = about("speed of the encoder", "patches per s")
    encoder_seconds: float | None = about("time of the encoder's step", "s")
    n_epochs: list[int] = about("epochs of each training", "epochs", "[n_trainings]")
    composition: dict[str, int] = about("spots in each domain", "spots")
    lost: dict[str, int] = about("spots that each threshold took", "spots")
    quantiles: SpotQuantiles = about("of the spots kept")
    top_markers: dict[str, list[str]] = about("best markers of each domain", shape="[≤ 5]")
    adjacency: Adjacency = about("which domains touch each other")
    loss: dict[str, list[list[Number]]] = about("pairs of epoch and loss, by part", shape="[≤ 100][2]")
    methods_text: dict[str, str] = about("a sentence for each topic")
