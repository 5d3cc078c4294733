"""Gene sets in GMT."""

import gzip
from pathlib import Path

import pytest

from efnst.errors import EfnstError
from efnst.inputs.gene_sets import MAX_SETS, read_gene_sets


def read(folder: Path, content: str | bytes) -> dict[str, list[str]]:
    """The sets of a file with this content."""
    (folder / "sets.gmt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_gene_sets(folder / "sets.gmt")


def test_sets_and_their_genes(tmp_path: Path) -> None:
    content = "\ufeffA b\thttp://x\tMBP\tPLP1\tMBP\t\r\n\r\nB\t\tGFAP,1.0\tAQP4,0.5\r\n"
    assert read(tmp_path, content) == {"A b": ["MBP", "PLP1"], "B": ["GFAP", "AQP4"]}
    assert read(tmp_path, "BZhang_T\tx\tMBP") == {"BZhang_T": ["MBP"]}
    assert read(tmp_path, "A\tone\u2028two\x85\tMBP\rB\t\tGFAP") == {"A": ["MBP"], "B": ["GFAP"]}


def test_what_one_set_lacks_does_not_refuse_the_others(tmp_path: Path) -> None:
    """Comments, an empty set, and one that is there twice, as where files of sets were joined."""
    content = "# of tissue\nA\tx\tMBP\tPLP1\n#\tdone\n\nB\tx\nC\t\t\t\n#1\tx\tMBP\nA\tother\tPLP1\tMBP,2\tMBP\n"
    assert read(tmp_path, content) == {"A": ["MBP", "PLP1"], "B": [], "C": [], "#1": ["MBP"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expected 1 to 10000 gene sets in sets.gmt, found 0"),
        ("gene,set\nMBP,A\n", "found 'gene,set' in line 1: give gene sets as GMT"),
        ("A\tx\tMBP\nB\n", "in line 2"),
        ("A\tx\tMBP\nA\tx\tMBP\tPLP1\n", "found A with other genes in line 2"),
        (
            "\nA\tMBP\nA\tPLP1\n",
            r"Expected a name, a description and genes, .* in each line of sets.gmt, found 'A\\tMBP' in line 2: give",
        ),
        ("\x07\tx\tMBP\n", "in line 1"),
        ("x" * 201 + "\tx\tMBP\n", "in line 1"),
        (b"A\tx\t\xff\n", "Expected UTF-8 text in sets.gmt, found .*: save it as UTF-8 text"),
        (gzip.compress(b"A\tx\tMBP\n", mtime=0), "Expected text in sets.gmt, found a compressed file, .*: unpack it"),
        ("".join(f"S{number}\t\tMBP\n" for number in range(MAX_SETS + 1)), "found 10001"),
    ],
)
def test_files_that_hold_no_gene_sets(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(EfnstError, match=said):
        read(tmp_path, content)
