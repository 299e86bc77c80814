#!/usr/bin/env bash
# Installs what the project needs and says what it installs.
#   scripts/setup.sh run    the command and the bridge, in .venv; PC/SC support when it can be built
#   scripts/setup.sh test   that, and everything the test suite uses (needs root or sudo for Debian packages)
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:?run or test}
python=${PYTHON:-python3}

say() { printf 'cardio setup: %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
  done
}

install_packages() {
  local missing
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null || ! can_be_root; then
    say "missing and not installed (needs root on a Debian-family system): $missing"
    return 1
  fi
  say "installing Debian packages: $missing"
  as_root apt-get update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "Python 3.11 or newer is needed; $("$python" --version) found. Set PYTHON=/path/to/python3.11"; exit 1; }
"$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv || {
  say "Python's venv module is missing: ask your administrator for the package python3-venv"; exit 1; }

# What pyscard is built with: it has no wheel for Linux.
build_packages="libpcsclite-dev gcc libc6-dev pkg-config"
"$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
  build_packages="$build_packages python3-dev"

if [ "$purpose" = test ]; then
  # shellcheck disable=SC2086
  install_packages $build_packages pcscd vsmartcard-vpcd opensc pcsc-tools chromium iproute2 util-linux openssl xxd || {
    say "the test suite runs real PC/SC and a real browser and cannot do without them"; exit 1; }
  # For the Debian package: what builds it, and a small machine of its own to install it in. Its Python is Debian's.
  install_packages python3 python3-venv python3-dev dpkg-dev binutils adduser libpcsclite1 systemd systemd-sysv \
    systemd-container libpam-systemd dbus polkitd curl procps desktop-file-utils || {
    say "the test suite builds the Debian package and installs it, and cannot do without them"; exit 1; }
else
  # shellcheck disable=SC2086
  install_packages $build_packages libpcsclite1 || true
fi

[ -x .venv/bin/python ] || { say "making .venv"; "$python" -m venv .venv; }
pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }

say "installing Python packages into .venv"
if [ "$purpose" = test ]; then
  pip install -e '.[pcsc,service,shell,dev]'
  say "fetching wheels for the Debian package into .venv/wheelhouse"
  packaging/deb/fetch.sh
  touch .venv/.test-ready .venv/.run-ready
else
  pip install -e '.[service,shell]'
  if ! pip install -e '.[pcsc]' 2>.venv/pyscard-build.log; then
    say "PC/SC support (pyscard) could not be built, so only software cards will work; why: .venv/pyscard-build.log"
    say "to add it later: install libpcsclite-dev and gcc, then run 'make clean setup'"
  fi
  touch .venv/.run-ready
fi
say "ready: .venv/bin/cardio --help"
