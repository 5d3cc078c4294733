#!/usr/bin/env bash
# Installs and starts what tests/engines needs, on Debian 12 without systemd, as root: Docker, Podman, Charliecloud, Slurm with one
# node, and Apptainer of Debian sid beside its own libc. Ends at once where all is there.
set -euo pipefail
lab=${SLURM_LAB:-/tmp/efnst-lab}
mkdir -p "$lab"

packages=(docker.io podman buildah runc uidmap slirp4netns fuse-overlayfs fuse3 mmdebstrap charliecloud slurm-wlm munge patchelf squashfs-tools)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}"
fi

install_apptainer() {
  local sid=$lab/sid where=/opt/apptainer mirror program
  # shellcheck disable=SC2016 # REPO_URI is apt's
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | sort -u | head -n 1)
  rm -rf "$sid"
  mkdir -p "$sid"/{lists/partial,cache/archives/partial,unpacked} "$where/lib" /var/lib/apptainer/mnt/session
  : > "$sid/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$sid/sources"
  cat > "$sid/apt.conf" <<END
Dir::State::lists "$sid/lists"; Dir::State::status "$sid/status"; Dir::Cache "$sid/cache";
Dir::Etc::sourcelist "$sid/sources"; Dir::Etc::sourceparts "/dev/null"; APT::Sandbox::User "root";
END
  (
    export APT_CONFIG=$sid/apt.conf
    cd "$sid"
    apt-get -qq update
    apt-get -qq download apptainer libc6 libseccomp2 libsqlite3-0
    for program in ./*.deb; do dpkg-deb -x "$program" unpacked; done
  )
  cp -a "$sid/unpacked/usr/lib/x86_64-linux-gnu/"*.so* "$where/lib/"
  cp -a "$sid/unpacked/etc/apptainer" /etc/
  mkdir -p /usr/lib/x86_64-linux-gnu/apptainer
  cp -a "$sid/unpacked/usr/lib/x86_64-linux-gnu/apptainer/." /usr/lib/x86_64-linux-gnu/apptainer/
  cp -a "$sid/unpacked/usr/bin/apptainer" /usr/bin/apptainer
  cp "$sid/unpacked/usr/bin/run-singularity.apptainer" /usr/bin/run-singularity
  for program in /usr/bin/apptainer /usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
    patchelf --set-interpreter "$where/lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$where/lib" "$program"
  done
  ln -sf apptainer /usr/bin/singularity
  sed -i 's/^root default capabilities = .*/root default capabilities = no/' /etc/apptainer/apptainer.conf
}
command -v apptainer >/dev/null || install_apptainer
chmod 666 /dev/fuse
[[ ! -e /dev/net/tun ]] || chmod 666 /dev/net/tun # networks of an ordinary user's Podman

cat > "$lab/containers.conf" <<'END'
[containers]
default_ulimits = ["nofile=1024:1024","nproc=1000:1000"]
[engine]
runtime = "runc"
END

if ! docker info >/dev/null 2>&1; then
  nohup dockerd > "$lab/dockerd.log" 2>&1 &
  for _ in $(seq 40); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
fi

start_slurm() {
  local host memory
  host=$(hostname -s)
  memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
  mkdir -p "$lab"/{controller,node} /run/munge /var/log/munge /etc/slurm
  chown munge: /run/munge /var/log/munge
  chmod 755 /run/munge
  cat > /etc/slurm/slurm.conf <<END
ClusterName=lab
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$lab/controller
SlurmdSpoolDir=$lab/node
SlurmctldPidFile=$lab/controller.pid
SlurmdPidFile=$lab/node.pid
SlurmctldLogFile=$lab/controller.log
SlurmdLogFile=$lab/node.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
PropagateResourceLimits=NONE
GresTypes=gpu
MinJobAge=600
NodeName=$host CPUs=$(nproc) RealMemory=$memory Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=1-0 State=UP
END
  echo "Name=gpu File=/dev/null" > /etc/slurm/gres.conf
  pgrep -x munged >/dev/null || su -s /bin/sh munge -c /usr/sbin/munged
  slurmctld
  slurmd
  for _ in $(seq 40); do sinfo -h -o %T 2>/dev/null | grep -q idle && return; sleep 0.25; done
}
sinfo -h -o %T 2>/dev/null | grep -qE 'idle|mixed|allocated' || start_slurm
