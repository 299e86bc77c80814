#!/usr/bin/env bash
# Runs every test; two sets go on beside each other. The tests over real PC/SC and of the Debian package come one after
# the other, since there is one PC/SC service and one machine to install in, and they wait more than they compute. So the
# others run meanwhile. Each set has a PC/SC folder and a loopback of its own (isolated.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
output=$(mktemp)
beside=''
stop() {
  [ -z "$beside" ] || kill "$beside" 2>/dev/null || true
  wait
  rm -f "$output"
  exit 130
}
trap stop INT TERM

scripts/isolated.sh .venv/bin/pytest -p no:cacheprovider tests/integration tests/packaging >"$output" 2>&1 &
beside=$!
ended=0
scripts/isolated.sh .venv/bin/pytest -n 2 --dist loadfile tests/unit tests/field tests/fuzz tests/browser || ended=$?
wait "$beside" || ended=$?
cat "$output"
rm -f "$output"
exit "$ended"
