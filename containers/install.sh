#!/usr/bin/env bash
# Runs in a build: the packages of lock.txt into /opt/efnst, without their tests, and what the image is made of as an SBOM.
# The options are those of `python3 -m venv`.
set -euo pipefail
cd /build
[[ ! -s certificates.crt ]] || export PIP_CERT=/build/certificates.crt
python3 -I -m venv "$@" /opt/efnst
/opt/efnst/bin/pip install --ignore-installed --no-cache-dir --no-compile --no-deps --require-hashes -r lock.txt
/opt/efnst/bin/pip inspect --local > installed.json
/opt/efnst/bin/python sbom.py installed.json > /opt/efnst/sbom.cdx.json
/opt/efnst/bin/pip uninstall --quiet --yes pip
packages=$(/opt/efnst/bin/python -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$packages" -type d \( -name tests -o -name __pycache__ \) -not -path '*/numpy/*' -prune -exec rm -r {} +
find "$packages" -name '*.so*' -type f -size +1M -not -path '*.libs/*' -exec strip --strip-debug {} + 2>/dev/null || true
# numba keeps with what it compiles when a module was changed, which layers of an image round to seconds
find "$packages" -name '*.py' -exec touch -d '2000-01-01 UTC' {} +
/opt/efnst/bin/python -I -m compileall -q "$packages" || true
