"""The bundle, installed into the root folder of a bare Debian without network, runs the demo there."""

import os
import subprocess
from pathlib import Path

LENT = (
    "/opt/apptainer",
    "/etc/apptainer",
    "/usr/lib/x86_64-linux-gnu/apptainer",
)  # Apptainer as install.sh put it here
# Apptainer does not run in a chroot
PIVOT = ("mkdir old", "pivot_root . old", "cd /", "umount -l /old", 'exec /bin/bash -c "$INSIDE"')
INSIDE = """
set -e
ip link 2>/dev/null | grep -q eth && exit 9
cd /data
tar -xf efnst.tar
efnst-*/install.sh /opt/efnst-bundle
mkdir -p /data/run && cd /data/run
export HOME=/root NXF_ANSI_LOG=false
/opt/efnst-bundle/efnst demo -profile apptainer,test
/opt/efnst-bundle/efnst check demo/cohort/samplesheet.csv
"""


def test_the_demo_runs_in_an_empty_root_without_network(bundle: Path, place: Path) -> None:
    root = place / "root"
    root.mkdir()
    base = Path(os.environ.get("EFNST_BASE", place.parents[1] / "base.tar"))
    subprocess.run(["tar", "-C", root, "-xf", base], check=True)
    data = root / "data"
    data.mkdir()
    os.link(bundle.parent / "efnst.tar", data / "efnst.tar")
    for folder in LENT:
        (root / folder[1:]).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/apptainer/mnt/session").mkdir(parents=True)
    (root / "usr/bin/apptainer").touch()
    mounts = [f"mount --rbind /{name} {root}/{name}" for name in ("proc", "sys", "dev")]
    mounts += [f"mount --bind {path} {root}{path}" for path in (*LENT, "/usr/bin/apptainer")]
    script = "\n".join(
        [
            "set -e",
            "mount --make-rprivate /",
            f"mount --bind {root} {root}",
            *mounts,
            f"cd {root}",
            *PIVOT,
        ]
    )
    command = ["unshare", "--net", "--mount", "bash", "-c", script]
    ended = subprocess.run(command, env=os.environ | {"INSIDE": INSIDE}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (data / "run/demo/results/multiqc_report.html").is_file()
