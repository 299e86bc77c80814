#!/usr/bin/env bash
# Installs what the project needs and says what it installs.
#   scripts/setup.sh run    the command and the bridge, in .venv; support for readers when it can be built
#   scripts/setup.sh test   that, and everything the test suite uses (needs root or sudo for Debian packages)
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:?run or test}
python=${PYTHON:-python3}
log=$(mktemp "${TMPDIR:-/tmp}/cardio-setup-XXXXXX.log")

say() { printf 'cardio setup: %s\n' "$*"; }
stop() {
  say "$@"
  exit 1
}

# Ends a process and all that it has started: who is told that set-up has stopped begins again, and two must not write
# into one .venv.
stop_process() {
  local child children
  children=$(cat "/proc/$1/task/$1/children" 2>/dev/null || true)
  kill "$1" 2>/dev/null || true
  for child in $children; do stop_process "$child"; done
}

# What runs in the background hears no Ctrl-C by itself.
work='' clock=''
stop_work() {
  local one
  for one in $work $clock; do
    stop_process "$one"
    wait "$one" 2>/dev/null || true
  done
  say "stopped; begin again at any time"
  exit 130
}
trap stop_work INT TERM

# Runs a step whose own output goes to the log; a sign of life every ten seconds, and the log's end when it fails.
step() {
  local title=$1 began=$SECONDS ended=0
  shift
  say "$title"
  printf '\n== %s\n' "$title" >>"$log"
  "$@" >>"$log" 2>&1 &
  work=$!
  (
    while sleep 10 >/dev/null 2>&1; do
      printf 'cardio setup:   … %s s: %.100s\n' $((SECONDS - began)) "$(tail -n 1 "$log" | tr -d '\r')"
      [ $((SECONDS - began)) -lt 60 ] || [ $((SECONDS - began)) -ge 70 ] || slow "$title"
    done
  ) &
  clock=$!
  wait "$work" || ended=$?
  kill "$clock" 2>/dev/null || true
  wait "$clock" 2>/dev/null || true
  work='' clock=''
  if [ $ended = 0 ]; then
    say "  done in $((SECONDS - began)) s"
  else
    say "  failed; the end of $log:"
    tail -n 8 "$log" | sed 's/^/    /'
  fi
  return $ended
}

# Downloads that take more than a minute, most often from outside China.
slow() {
  case $1 in
  *Python*)
    [ -n "${PIP_INDEX_URL:-}" ] ||
      say "  慢？可用国内镜像 slow? a mirror: PIP_INDEX_URL=https://pypi.tuna.tsinghua.edu.cn/simple make $purpose"
    ;;
  *Debian*) say "  慢？请在 /etc/apt/sources.list 中改用国内镜像 / slow? name a mirror near you in /etc/apt/sources.list" ;;
  esac
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Whether packages can be installed. A person at a terminal is asked, and then by sudo for the password.
can_be_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || return 1
  ! sudo -n true 2>/dev/null || return 0
  [ -t 0 ] && [ -t 1 ] || return 1
  local answer
  printf 'cardio setup: 现在用 sudo 安装吗？ install them now with sudo? [Y/n] '
  read -r answer || return 1
  case $answer in [nN]*) return 1 ;; esac
  sudo -v
}

missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
  done
}

# The one line that a person pastes who may install packages.
apt_line() { printf 'sudo apt-get install --no-install-recommends %s' "${1% }"; }

update_and_install() {
  as_root apt-get update
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $1
}

# Args: "required" or "optional", what they are for, the packages.
install_packages() {
  local kind=$1 why=$2 missing
  shift 2
  command -v dpkg-query >/dev/null || missing="$* "
  missing=${missing-$(missing_packages "$@")}
  [ -n "$missing" ] || return 0
  say "$kind, $why: Debian packages ${missing% }"
  if command -v apt-get >/dev/null && can_be_root; then
    step "installing Debian packages ($(size_of "$missing"))" update_and_install "$missing" && return 0
  fi
  if [ "$kind" = optional ]; then
    say "going on without them. To have them, paste:"
  else
    say "they are needed. Paste this line (it needs root on a Debian-family system), then begin again:"
  fi
  say "  $(apt_line "$missing")"
  command -v apt-get >/dev/null ||
    say "  (without apt: Fedora has them as pcsc-lite pcsc-lite-ccid pcsc-lite-devel gcc pkgconf python3-devel)"
  return 1
}

# What apt says it will download, before it does; nothing where it cannot tell yet.
size_of() {
  # shellcheck disable=SC2086
  LC_ALL=C apt-get install -s --no-install-recommends $1 >/dev/null 2>&1 || {
    printf 'some minutes'
    return 0
  }
  # shellcheck disable=SC2086
  LC_ALL=C apt-get install --print-uris -y -qq --no-install-recommends $1 2>/dev/null |
    awk '{ bytes += $3 } END { printf "%d MB to download", bytes / 1000000 }'
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "Python 3.11 or newer is needed; $("$python" --version) found. Set PYTHON=/path/to/python3.11"
"$python" -c 'import ensurepip' 2>/dev/null ||
  install_packages required "to make .venv" python3-venv ||
  stop "Python's venv module is missing, and .venv cannot be made without it"

# What pyscard is built with: it has no wheel for Linux. cardio's own words name the same (cardio/readers/absence.py).
build_packages="libpcsclite-dev gcc libc6-dev pkg-config python3-dev"
# What a reader needs: the service, and the driver of USB readers.
reader_packages="pcscd libccid libpcsclite1"
if "$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null; then
  build_packages=${build_packages% python3-dev}
fi

if [ "$purpose" = test ]; then
  say "about 2 GB in all, and three to ten minutes; the tests themselves take some twenty"
  # shellcheck disable=SC2086
  install_packages required "for the tests, which run real PC/SC and a real browser" $build_packages $reader_packages \
    vsmartcard-vpcd opensc pcsc-tools chromium iproute2 util-linux openssl xxd locales man-db ||
    stop "the test suite runs real PC/SC and a real browser and cannot do without them"
  # Chromium without a window, for the tests that are about pages: they take half the time. Not every system has it.
  install_packages optional "for quicker browser tests" chromium-headless-shell || true
  # For the Debian package: what builds it, and a small machine of its own to install it in. Its Python is Debian's.
  install_packages required "for the tests of the Debian package" python3 python3-venv python3-dev dpkg-dev binutils \
    adduser libpcsclite1 systemd systemd-sysv systemd-container libpam-systemd dbus polkitd curl procps desktop-file-utils ||
    stop "the test suite builds the Debian package and installs it, and cannot do without them"
else
  say "about 80 MB in .venv and a minute; what readers need besides is optional"
  # shellcheck disable=SC2086
  install_packages optional "for real readers (simulated ones do without)" $build_packages $reader_packages || true
fi

# One that was stopped while it was made has Python and no pip.
.venv/bin/python -m pip --version >/dev/null 2>&1 || step "making .venv" "$python" -m venv .venv
# Nothing is taken that is not in the lock files: one version, and the hash of each of its files (make lock).
pip() { PIP_PROGRESS_BAR=off .venv/bin/python -m pip --disable-pip-version-check "$@"; }
locked() { pip install --require-hashes -r "packaging/locked/$1.txt"; }
# With the tools of building.txt instead of such that pip would fetch unchecked; swig is one of them.
readers() { PATH=$PWD/.venv/bin:$PATH pip install --no-build-isolation --require-hashes -r packaging/locked/readers.txt; }
cardio_itself() { pip install --no-deps --no-build-isolation -e .; }

step "installing what builds Python packages into .venv" locked building
if [ "$purpose" = test ]; then
  step "building Python's support for readers (pyscard)" readers
  step "installing Python packages into .venv (about 300 MB)" locked development
  step "installing cardio into .venv" cardio_itself
  step "fetching Python wheels for the Debian package into .venv/wheelhouse" packaging/deb/fetch.sh
  touch .venv/.test-ready .venv/.run-ready
else
  step "installing Python packages into .venv (about 80 MB)" locked service
  step "installing cardio into .venv" cardio_itself
  if ! step "optional: building Python's support for readers (pyscard)" readers; then
    cp "$log" .venv/pyscard-build.log
    say "optional: without pyscard real readers cannot be used, and simulated ones can. Why: .venv/pyscard-build.log"
    say "to add it later, paste:"
    say "  $(apt_line "$build_packages $reader_packages") && make clean setup"
  fi
  touch .venv/.run-ready
fi
rm -f "$log"
say "ready: .venv/bin/cardio --help"
