"""What a simulated cohort is worth in each scope: batches, sections that lack regions, one with an extra region.

All steps are the programs of bin/, called in this process; what learning takes in memory is measured in processes of
their own. Sections are read without images.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from programs import BIN, measured
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, roc_auc_score

sys.path.insert(0, str(BIN))

import apply_reference
import assign_domains
import fit_domains
import learn_embedding
import read_section
import simulate_cohort
from efnst.domains.options import DomainOptions
from efnst.embedding.options import CohortOptions
from efnst.names import LABEL, NOVEL_DOMAIN
from efnst.simulation.batches import EXTRA
from efnst.statistics.matching import match_domains

SPOTS, GENES, REGIONS, COUNTS, CONTRAST, BATCHES = 400, 500, 6, 2500.0, 2.0, 3
GROUPED = CohortOptions(correct_by="group")
MANY = (10, 50, 200)  # sections whose memory of learning is held against each other


@dataclass(frozen=True)
class Simulated:
    """A simulated section that was read: its name, its group, and the folder of its files."""

    sample: str
    group: str
    folder: Path

    @property
    def section(self) -> Path:
        """section.h5ad"""
        return self.folder / "section.h5ad"

    @property
    def truth(self) -> np.ndarray:
        """The true region of each spot, text [n_spots]."""
        return anndata.read_h5ad(self.section).obs[LABEL].astype(str).to_numpy()

    def domains(self, run: str) -> pd.DataFrame:
        """domains.csv of a run."""
        return pd.read_csv(self.folder / run / "domains.csv")


def simulate(folder: Path, n_sections: int, seed: int) -> list[Simulated]:
    """Simulate a cohort and read its sections."""
    asked = {"n_spots": SPOTS, "n_genes": GENES, "n_regions": REGIONS, "median_counts": COUNTS, "contrast": CONTRAST}
    simulate_cohort.main(folder, n_sections, seed, batches=BATCHES, **asked)
    found = []
    for row in csv.DictReader((folder / "samplesheet.csv").open(newline="")):
        sample = Simulated(row["sample"], row["group"], folder / row["sample"])
        files = {"source": folder / row["section"], "labels": str(folder / row["labels"]), "image": "none"}
        read_section.main(sample.sample, outdir=sample.folder, **files)
        found.append(sample)
    return found


def learn(sections: list[Simulated], folder: Path, n_domains: int) -> Path:
    """Learn from sections together in `folder`, as run `together`; the folder of their reference."""
    names, files = [each.sample for each in sections], [each.section for each in sections]
    groups = [each.group for each in sections]
    learn_embedding.main(names, files, group=groups, space=folder / "space", outdir=folder, cohort=GROUPED)
    embeddings, options = [folder / name / "embedding.npz" for name in names], DomainOptions(n_domains=n_domains)
    fit_domains.main(names, files, embeddings, folder / "space", outdir=folder, options=options, cohort=GROUPED)
    return folder / "reference"


def assign(each: Simulated, run: str, learned: Path, n_domains: int, **shared: Path) -> None:
    """Domains of one section, as a run of this name."""
    outdir, options = each.folder / run, DomainOptions(n_domains=n_domains)
    (outdir).mkdir(exist_ok=True)
    files = learned / "embedding.npz", learned / "training.json"
    assign_domains.main(each.sample, each.section, *files, outdir=outdir, options=options, **shared)


def together(sections: list[Simulated], folder: Path, run: str, n_domains: int) -> Path:
    """The domains that sections share; the folder of their reference."""
    reference = learn(sections, folder, n_domains)
    for each in sections:
        assign(each, run, folder / each.sample, n_domains, reference=reference)
    return reference


def apply(each: Simulated, run: str, reference: Path, n_domains: int) -> None:
    """The domains of a reference in a section."""
    outdir = each.folder / run
    outdir.mkdir(exist_ok=True)
    apply_reference.main(each.sample, each.section, reference, each.group, outdir=outdir)
    assign(each, run, outdir, n_domains, reference=reference, reference_fit=outdir / "reference_fit.json")


def alone(each: Simulated) -> None:
    """The domains that a section has by itself: run `told`, as many as it has regions; run `alone`, as the cohort."""
    learned = each.folder / each.sample
    learn_embedding.main([each.sample], [each.section], outdir=each.folder)
    assign(each, "told", learned, len(np.unique(each.truth)))
    assign(each, "alone", learned, REGIONS + 1)


def joined(sections: list[Simulated], run: str) -> pd.DataFrame:
    """The spots of all sections: sample, domain and truth."""
    return pd.concat(
        [each.domains(run)[["domain"]].assign(sample=each.sample, truth=each.truth) for each in sections],
        ignore_index=True,
    )


def ari(spots: pd.DataFrame) -> float:
    """ARI of domains with the truth, over all spots at once."""
    return float(adjusted_rand_score(spots["truth"], spots["domain"]))


def mean_ari(spots: pd.DataFrame) -> float:
    """The mean over the sections of their ARI."""
    return float(np.mean([ari(part) for _, part in spots.groupby("sample")]))


def named(spots: pd.DataFrame) -> pd.Series:
    """The region that each spot's domain is in the best one-to-one naming, empty for none."""
    pairs = {"all": pd.DataFrame({"first": spots["domain"].astype(str), "second": spots["truth"]})}
    table, _ = match_domains(pairs, common=True)
    return spots["domain"].astype(str).map(table.set_index("domain_1")["domain_2"])


def invented(spots: pd.DataFrame) -> float:
    """Share of spots that are called a region which their section lacks."""
    found = spots.assign(name=named(spots))
    present = found.groupby("sample")["truth"].agg(set)
    wrong = [name != "" and name not in present[sample] for sample, name in found[["sample", "name"]].to_numpy()]
    return float(np.mean(wrong))


def extra_f1(spots: pd.DataFrame) -> float:
    """F1 of the extra region, of all sections, in the best naming."""
    found, true = named(spots) == EXTRA, spots["truth"] == EXTRA
    return float(2 * (found & true).sum() / max(found.sum() + true.sum(), 1))


def matched_by_labels(spots: pd.DataFrame) -> pd.DataFrame:
    """Domains of single runs named by the truth, section by section: the best that matching afterwards can do."""
    names = [named(part).where(lambda name: name != "", "none") for _, part in spots.groupby("sample", sort=False)]
    return spots.assign(domain=pd.concat(names))


def matched_by_profiles(sections: list[Simulated], run: str, n_domains: int) -> pd.DataFrame:
    """Domains of single runs matched by what they express: each section to the mean of those before it.

    Profiles are centred within each section. A section is matched one to one to the profiles that there are; what is
    left over begins a new one, up to `n_domains`. The sections with the most domains come first.
    """
    parts, known, weights = {}, np.zeros((0, GENES)), np.zeros(0)
    for each in sorted(sections, key=lambda each: -each.domains(run)["domain"].nunique()):
        domain = each.domains(run)["domain"].to_numpy()
        numbers, profiles = np.unique(domain), _profiles(each, domain)
        missing = max(0, min(len(numbers), n_domains) - len(known))
        if missing:
            known, weights = np.vstack([known, profiles[len(known) : len(known) + missing]]), np.ones(len(numbers))
        likeness = np.corrcoef(profiles, known)[: len(profiles), len(profiles) :]
        rows, columns = linear_sum_assignment(-likeness)
        known[columns] += (profiles[rows] - known[columns]) / (weights[columns, None] + 1)
        weights[columns] += 1
        place = dict(zip(numbers[rows], columns, strict=True))
        parts[each.sample] = [place.get(number, -1) for number in domain]
    return joined(sections, run).assign(domain=np.concatenate([parts[each.sample] for each in sections]))


def _profiles(each: Simulated, domain: np.ndarray) -> np.ndarray:
    """Mean log expression of each domain less that of the section, [n_domains, n_genes]."""
    counts = anndata.read_h5ad(each.section).to_df().to_numpy()
    values = np.log1p(1e4 * counts / counts.sum(1, keepdims=True))
    return np.stack([values[domain == number].mean(0) for number in np.unique(domain)]) - values.mean(0)


def scope_of_cohort(sections: list[Simulated], folder: Path) -> dict[str, float]:
    """What the cohort scope reaches, and the sections by themselves."""
    together(sections, folder, "cohort", REGIONS + 1)
    spots = joined(sections, "cohort")
    found = {
        "joint ARI": ari(spots),
        "mean ARI of a section": mean_ari(spots),
        "spots called a region that the section lacks": invented(spots),
        "F1 of the extra region": extra_f1(spots),
    }
    for each in sections:
        alone(each)
    for run, told in {"alone": "the cohort's number", "told": "their own numbers"}.items():
        single, about = joined(sections, run), f"sections by themselves, {told}"
        profiles = matched_by_profiles(sections, run, REGIONS + 1)
        found |= {
            f"joint ARI, {about}, matched by profiles": ari(profiles),
            f"joint ARI, {about}, matched by the truth": ari(matched_by_labels(single)),
            f"mean ARI of a section, {about}": mean_ari(single),
        }
    return found


def scope_of_reference(sections: list[Simulated], folder: Path) -> dict[str, float]:
    """What a reference reaches that was made without the last two sections, one of them with the extra region."""
    *known, held_out, last = sections
    first = known[0]
    reference = learn(known, folder, REGIONS)
    assign(first, "within", folder / first.sample, REGIONS, reference=reference)
    for each in (first, held_out, last):
        apply(each, "applied", reference, REGIONS)
    found = last.domains("applied")
    extra = last.truth == EXTRA
    tissue = np.concatenate([found["domain"][~extra], held_out.domains("applied")["domain"]])
    pair = [first.domains(run)["domain"] for run in ("within", "applied")]
    return {
        "AUROC of novelty, extra region": float(roc_auc_score(extra, found["novelty"])),
        "extra region called novel": float((found["domain"][extra] == NOVEL_DOMAIN).mean()),
        "known tissue called novel": float((tissue == NOVEL_DOMAIN).mean()),
        "ARI of a section of the reference, applied again, with its own domains": float(adjusted_rand_score(*pair)),
        "ARI of a held-out section": ari(joined([held_out], "applied")),
        "ARI of that section in the cohort": ari(joined([held_out], "cohort")),
    }


def memory(sections: list[Simulated], folder: Path) -> dict[str, float]:
    """GB that learning takes, by number of sections; these are repeated under other names until there are enough."""
    found = {}
    for number in MANY:
        each = []
        for place in range(number):
            of = sections[place % len(sections)]
            each += ["--sample", f"{of.sample}_{place}", "--group", of.group, "--section", of.section, "--features", ""]
        each += ["--space", folder / str(number) / "space"]
        taken = measured("learn_embedding", *each, "--correct_by", "group", "--outdir", folder / str(number))
        found[f"GB of learning, {number} sections"] = taken.peak
    return found


def results(folder: Path, n_sections: int, seed: int) -> dict[str, float]:
    """All figures of one simulated cohort."""
    sections = simulate(folder, n_sections, seed)
    found = scope_of_cohort(sections, folder / "cohort") | scope_of_reference(sections, folder / "reference")
    return found | memory(sections, folder / "memory")
