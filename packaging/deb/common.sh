# What fetch.sh and build.sh share; sourced by both.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Debian's own interpreter, not whichever comes first in PATH: the package runs on the one that the desks have.
python=${CARDIO_DEB_PYTHON:-/usr/bin/python3}
wheelhouse=${CARDIO_WHEELHOUSE:-$root/.venv/wheelhouse}
locked=$root/packaging/locked
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_WARN_SCRIPT_LOCATION=1

say() { printf 'cardio package: %s\n' "$*" >&2; }

"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  say "$python has no venv module: install Debian's python3-venv"; exit 1; }
