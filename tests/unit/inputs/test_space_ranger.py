"""Files of a Space Ranger folder, as they are and as they go wrong."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import csc_matrix

from efnst.errors import EfnstError
from efnst.inputs.feature_matrix import first_barcode, read_matrix
from efnst.inputs.positions import read_positions, read_scales, scale_of
from efnst.inputs.space_ranger import find_files

BARCODES = ["AAAC-1", "AAAG-1", "AAAT-1"]
FEATURES = [
    ("ENSG1", "SAMD11", "Gene Expression"),
    ("CD3", "CD3", "Antibody Capture"),
    ("ENSG2", "", "Gene Expression"),
]
VALUES = np.array([[1, 9, 0], [0, 9, 4], [2, 0, 0]])  # barcodes × features


def write_h5(path: Path, values: np.ndarray = VALUES, barcodes: list[str] = BARCODES, dtype: str = "int32") -> Path:
    """A matrix as Space Ranger writes it; `values`: [n_barcodes, n_features]."""
    stored = csc_matrix(values.T.astype(dtype))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(barcodes, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(stored, name)
        group["shape"] = np.array(stored.shape, dtype="int32")
        for name, column in zip(("id", "name", "feature_type"), zip(*FEATURES, strict=True), strict=True):
            group[f"features/{name}"] = np.array(column, dtype="S")
    return path


def write_folder(path: Path, compress: bool = True, three_columns: bool = True) -> Path:
    """The same matrix as a folder with matrix.mtx."""
    path.mkdir(parents=True)
    mmwrite(path / "matrix.mtx", csc_matrix(VALUES.T))
    (path / "barcodes.tsv").write_text("\n".join(BARCODES) + "\n")
    columns = 3 if three_columns else 2
    name = "features.tsv" if three_columns else "genes.tsv"
    (path / name).write_text("".join("\t".join(feature[:columns]) + "\n" for feature in FEATURES))
    for file in list(path.iterdir()) if compress else []:
        (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return path


def write_outs(outs: Path) -> Path:
    """The least files of an outs folder, without content, except for the names."""
    (outs / "spatial").mkdir(parents=True)
    for name in ("filtered_feature_bc_matrix.h5", "spatial/tissue_positions.csv", "spatial/scalefactors_json.json"):
        (outs / name).touch()
    return outs


def test_the_matrix_is_read_by_barcode_with_genes_only(tmp_path: Path) -> None:
    matrix = read_matrix(write_h5(tmp_path / "m.h5"))
    assert matrix.counts.toarray().tolist() == [[1, 0], [0, 4], [2, 0]]
    assert matrix.counts.dtype == np.int32
    assert list(matrix.barcodes) == BARCODES and list(matrix.gene_ids) == ["ENSG1", "ENSG2"]
    assert list(matrix.gene_names) == ["SAMD11", "ENSG2"], "a gene without a symbol goes by its identifier"


@pytest.mark.parametrize("compress", [True, False])
def test_a_folder_holds_the_same_matrix(tmp_path: Path, compress: bool) -> None:
    expected, matrix = read_matrix(write_h5(tmp_path / "m.h5")), read_matrix(write_folder(tmp_path / "m", compress))
    assert (matrix.counts != expected.counts).nnz == 0 and matrix.counts.dtype == np.int32
    assert list(matrix.barcodes) == BARCODES and list(matrix.gene_names) == list(expected.gene_names)


def test_a_folder_of_old_with_genes_tsv_holds_genes_only(tmp_path: Path) -> None:
    assert read_matrix(write_folder(tmp_path / "m", three_columns=False)).counts.shape == (3, 3)


def test_names_in_quotes_are_those_between_them(tmp_path: Path) -> None:
    """As R's `write.table` writes them."""
    expected, folder = read_matrix(write_folder(tmp_path / "m")), write_folder(tmp_path / "quoted", compress=False)
    for name in ("barcodes.tsv", "features.tsv"):
        lines = (folder / name).read_text().splitlines()
        quoted = ["\t".join(f'"{field}"' for field in line.split("\t")) for line in lines]
        (folder / name).write_text("\n".join(quoted) + "\n")
    found = read_matrix(folder)
    assert list(found.barcodes) == list(expected.barcodes) and first_barcode(folder) == BARCODES[0]
    assert list(found.gene_ids) == list(expected.gene_ids) and list(found.gene_names) == list(expected.gene_names)


def test_whole_numbers_stored_as_floats_are_counts(tmp_path: Path) -> None:
    assert read_matrix(write_h5(tmp_path / "m.h5", dtype="float64")).counts.dtype == np.int32


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-3, "counts of 0 or more in m.h5, found -3"),
        (0.5, "whole counts in m.h5, found 0.5"),
        (np.nan, "found 1 values that are no numbers"),
        (np.inf, "found 1 values that are no numbers"),
        (3e9, r"below 2\^31 in m.h5, found 3e\+09"),
    ],
)
def test_values_that_are_no_counts_are_refused(tmp_path: Path, value: float, said: str) -> None:
    values = VALUES.astype(float)
    values[1, 2] = value
    with pytest.raises(EfnstError, match=said):
        read_matrix(write_h5(tmp_path / "m.h5", values, dtype="float64"))


def test_repeated_barcodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"every barcode once in m.h5, found AAAC-1 2 times"):
        read_matrix(write_h5(tmp_path / "m.h5", barcodes=["AAAC-1", "AAAG-1", "AAAC-1"]))


def test_a_matrix_without_counts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found an empty matrix"):
        read_matrix(write_h5(tmp_path / "m.h5", VALUES * 0))


def test_stored_zeros_are_no_counts(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file["matrix/data"][0] = 0
    matrix = read_matrix(path)
    assert matrix.counts.toarray().tolist() == [[0, 0], [0, 4], [2, 0]]
    assert matrix.counts.nnz == 2, "the genes of a spot are counted by what is stored"
    with h5py.File(path, "r+") as file:
        file["matrix/data"][...] = 0
    with pytest.raises(EfnstError, match=r"found an empty matrix \(3 barcodes × 2 genes, no count above 0\)"):
        read_matrix(path)


def test_a_matrix_without_barcodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found an empty matrix"):
        read_matrix(write_h5(tmp_path / "m.h5", VALUES[:0], []))


def test_a_matrix_of_proteins_only_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file["matrix/features/feature_type"][...] = b"Antibody Capture"
    with pytest.raises(EfnstError, match=r"type Gene Expression in m.h5, found Antibody Capture"):
        read_matrix(path)


@pytest.mark.parametrize("kept", [0, 40, 0.3, 0.9])
def test_a_truncated_h5_is_refused(tmp_path: Path, kept: float) -> None:
    path = write_h5(tmp_path / "m.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(EfnstError, match=r"complete m\.h5, found that it cannot be read"):
        read_matrix(path)


@pytest.mark.parametrize("name", ["matrix", "barcodes", "features"])
def test_a_truncated_gz_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "m")
    path = next(folder.glob(f"{name}*"))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(EfnstError, match=rf"complete {path.name}"):
        read_matrix(folder)


def test_garbage_in_a_gz_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    path = folder / "features.tsv.gz"
    content = bytearray(path.read_bytes())
    content[25:45] = b"\xff" * 20
    path.write_bytes(bytes(content))
    with pytest.raises(EfnstError, match=r"complete features\.tsv\.gz"):
        read_matrix(folder)


def test_a_folder_without_one_of_its_files(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "barcodes.tsv.gz").unlink()
    with pytest.raises(EfnstError, match=r"Expected barcodes\.tsv\.gz in .* \(it holds features\.tsv\.gz, matrix"):
        read_matrix(folder)


def test_a_folder_whose_files_do_not_fit(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", compress=False)
    (folder / "barcodes.tsv").write_text("AAAC-1\n")
    with pytest.raises(EfnstError, match=r"for 3 barcodes × 3 features, but 1 barcodes"):
        read_matrix(folder)


def test_another_hdf5_layout_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["GRCh38/data"] = [1]
    with pytest.raises(EfnstError, match=r"group matrix with features .* in m.h5, found GRCh38"):
        read_matrix(tmp_path / "m.h5")


@pytest.mark.parametrize("lost", ["indices", "shape", "features"])
def test_a_matrix_with_a_part_missing_is_refused(tmp_path: Path, lost: str) -> None:
    path = write_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        del file[f"matrix/{lost}"]
    with pytest.raises(EfnstError, match=lost.rsplit("/", 1)[-1]):
        read_matrix(path)


@pytest.mark.parametrize("lost", ["name", "id", "feature_type"])
def test_features_that_are_named_in_part(tmp_path: Path, lost: str) -> None:
    expected = read_matrix(write_h5(tmp_path / "m.h5"))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        is_gene = file["matrix/features/feature_type"].asstr()[:] == "Gene Expression"
        ids = file["matrix/features/id"].asstr()[:]
        del file[f"matrix/features/{lost}"]
    found = read_matrix(tmp_path / "m.h5")
    if lost == "feature_type":  # all are genes then
        assert not is_gene.all() and list(found.gene_ids) == list(ids)
        assert (found.counts[:, is_gene] != expected.counts).nnz == 0
        return
    if lost == "name":
        assert list(found.gene_names) == list(found.gene_ids) == list(expected.gene_ids)
    else:
        assert list(found.gene_names) == list(found.gene_ids) == [expected.gene_names[0], ""]
    assert (found.counts != expected.counts).nnz == 0


@pytest.mark.parametrize(("name", "header"), [("barcodes", "barcode"), ("features", '"gene_id"\tname\ttype')])
def test_a_line_of_names_above_barcodes_or_features(tmp_path: Path, name: str, header: str) -> None:
    expected = read_matrix(write_folder(tmp_path / "m", compress=False))
    path = tmp_path / "m" / f"{name}.tsv"
    lines = path.read_text()
    path.write_text(f"{header}\n{lines}")
    found = read_matrix(tmp_path / "m")
    assert list(found.barcodes) == list(expected.barcodes) and list(found.gene_ids) == list(expected.gene_ids)
    path.write_text(f"what is this\tgene_name\n{lines}")
    with pytest.raises(EfnstError, match=rf"Expected 3 names in {name}\.tsv .*, found 4: take .* \('what is this"):
        read_matrix(tmp_path / "m")


@pytest.mark.parametrize("kind", ["array integer general", "coordinate pattern general"])
def test_other_forms_of_a_market_file_are_no_damage(tmp_path: Path, kind: str) -> None:
    folder = write_folder(tmp_path / "m", compress=False)
    (folder / "matrix.mtx").write_text(f"%%MatrixMarket matrix {kind}\n3 3\n")
    with pytest.raises(EfnstError, match=rf"Expected %%MatrixMarket .* general at .* {kind}': write the counts again"):
        read_matrix(folder)


def test_indices_beyond_the_features_are_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file["matrix/indices"][0] = 99
    with pytest.raises(EfnstError, match=r"cannot be read"):
        read_matrix(path)


ROWS = "AAAC-1,1,0,0,100,20\nAAAG-1,0,1,1,130,40\n"
HEADER = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"


@pytest.mark.parametrize("name", ["tissue_positions.csv", "tissue_positions_list.csv"])
@pytest.mark.parametrize("header", [True, False])
def test_the_first_cell_decides_about_the_header(tmp_path: Path, name: str, header: bool) -> None:
    (tmp_path / name).write_text((HEADER if header else "") + ROWS)
    table, form = read_positions(tmp_path / name)
    assert form == ("with header" if header else "without header")
    assert list(table.index) == ["AAAC-1", "AAAG-1"], "no spot is lost"
    assert table.loc["AAAC-1"].tolist() == [1, 0, 0, 100, 20]


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "tissue_positions.csv"
    path.write_bytes(
        b"\xef\xbb\xbfbarcode,pxl_col_in_fullres,pxl_row_in_fullres,in_tissue,array_row,array_col\r\nA-1,20,100,1,3,5\r\n"
    )
    table, _ = read_positions(path)
    assert table["pxl_row_in_fullres"].tolist() == [100] and table["array_col"].tolist() == [5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "6 columns .* found 0"),
        ("A-1,1,0,0\n", "6 columns .* found 4"),
        (HEADER, "found none"),
        (HEADER.replace("array_col", "column") + ROWS, "the column array_col"),
        (ROWS + "AAAC-1,1,0,0,1,1\n", "every barcode once in p.csv, found AAAC-1 2 times"),
        (ROWS + "AAAT-1,1,0,0,,5\n", r"a number in line 3 of p.csv, column pxl_row_in_fullres, found ''"),
        (HEADER + ROWS + "AAAT-1,1,0,0,1,x\n", r"a number in line 4 of p.csv, column pxl_col_in_fullres, found 'x'"),
        (ROWS + "AAAT-1,7,0,0,1,1\n", "0 or 1 in the column in_tissue of p.csv, found 7"),
        ("\x00\x01" * 40, "6 columns"),
    ],
)
def test_positions_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(EfnstError, match=said):
        read_positions(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"spot_diameter_fullres": 90', "complete s.json, found that it cannot be read"),
        ("", "complete s.json"),
        ("[1]", "JSON object in s.json, found list"),
        ('{"tissue_hires_scalef": 0}', "tissue_hires_scalef above 0 in s.json, found 0"),
        ('{"tissue_hires_scalef": -0.2}', "above 0 in s.json, found -0.2"),
        ('{"tissue_hires_scalef": NaN}', "above 0 in s.json, found nan"),
        ('{"tissue_lowres_scalef": 0.1}', "Expected tissue_hires_scalef in .*, found tissue_lowres_scalef"),
    ],
)
def test_scale_factors_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(EfnstError, match=said):
        scale_of(read_scales(tmp_path / "s.json"), "tissue_hires_scalef")


@pytest.mark.parametrize("given", ["sample/outs", "sample"])
def test_outs_or_its_parent(tmp_path: Path, given: str) -> None:
    outs = write_outs(tmp_path / "sample" / "outs")
    assert find_files(tmp_path / given).matrix == outs / "filtered_feature_bc_matrix.h5"


def test_files_with_a_prefix_are_found(tmp_path: Path) -> None:
    outs = write_outs(tmp_path)
    (outs / "filtered_feature_bc_matrix.h5").rename(outs / "GSM1_filtered_feature_bc_matrix.h5")
    assert find_files(tmp_path).matrix.name == "GSM1_filtered_feature_bc_matrix.h5"
    (outs / "GSM2_filtered_feature_bc_matrix.h5").touch()
    with pytest.raises(EfnstError, match=r"found GSM1_.*, GSM2_"):
        find_files(tmp_path)


def test_the_raw_matrix_is_taken_only_without_a_filtered_one(tmp_path: Path) -> None:
    outs = write_outs(tmp_path)
    (outs / "raw_feature_bc_matrix.h5").touch()
    assert find_files(tmp_path).is_filtered
    (outs / "filtered_feature_bc_matrix.h5").unlink()
    (outs / "filtered_feature_bc_matrix").mkdir()
    assert find_files(tmp_path).matrix.name == "filtered_feature_bc_matrix"
    (outs / "filtered_feature_bc_matrix").rmdir()
    files = find_files(tmp_path)
    assert files.matrix.name == "raw_feature_bc_matrix.h5" and not files.is_filtered


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("filtered_feature_bc_matrix.h5", "Expected filtered_feature_bc_matrix.h5 .* found neither .it holds spatial"),
        ("spatial/tissue_positions.csv", "Expected tissue_positions.csv or tissue_positions_list.csv"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, lost: str, said: str) -> None:
    (write_outs(tmp_path) / lost).unlink()
    with pytest.raises(EfnstError, match=said):
        find_files(tmp_path)


def test_folders_that_are_no_section(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found nothing at"):
        find_files(tmp_path / "absent")
    with pytest.raises(EfnstError, match=r"found no folder spatial in .* .it is empty"):
        find_files(tmp_path)
    (tmp_path / "binned_outputs").mkdir()
    with pytest.raises(EfnstError, match=r"Expected bins of 8 µm in .*, found none"):
        find_files(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(EfnstError, match=r"found a file at"):
        find_files(tmp_path / "file")


def test_bins_without_a_size_are_refused(tmp_path: Path) -> None:
    outs = write_outs(tmp_path)
    (outs / "spatial/tissue_positions.csv").rename(outs / "spatial/tissue_positions.parquet")
    with pytest.raises(EfnstError, match=r"found a folder of Visium HD that does not say it: give bin_um"):
        find_files(tmp_path)
    assert find_files(tmp_path, "16").bin_um == 16


def test_a_bin_size_for_a_folder_of_spots_is_refused(tmp_path: Path) -> None:
    write_outs(tmp_path)
    with pytest.raises(EfnstError, match=r"Expected bins of 8 µm, found spots in"):
        find_files(tmp_path, "8")


def test_the_bins_asked_for_are_taken_and_others_are_listed(tmp_path: Path) -> None:
    (tmp_path / "spatial").mkdir()
    for size in (2, 8, 16):
        outs = write_outs(tmp_path / "binned_outputs" / f"square_{size:03d}um")
        (outs / "spatial/tissue_positions.csv").rename(outs / "spatial/tissue_positions.parquet")
    assert find_files(tmp_path, "16").matrix.parent.name == "square_016um"
    files = find_files(tmp_path)
    assert files.bin_um == 8 and files.warnings == ("No bin_um was given: the bins of 8 µm were taken.",)
    assert find_files(tmp_path / "binned_outputs" / "square_002um").bin_um == 2
    with pytest.raises(EfnstError, match=r"bins of 24 µm .*, found 2, 8, 16"):
        find_files(tmp_path, "24")
    with pytest.raises(EfnstError, match=r"found bins of 2 µm"):
        find_files(tmp_path / "binned_outputs" / "square_002um", "8")
    with pytest.raises(EfnstError, match=r"Expected segmented_outputs in"):
        find_files(tmp_path, "cells")
