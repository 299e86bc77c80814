#!/usr/bin/env bash
# Writes packaging/locked/*.txt anew: one version of each Python package, with the hashes of its files, within the
# ranges of pyproject.toml. `make lock` calls it, when a range changed or when newer versions are wanted.
#   scripts/lock.sh [--upgrade]      without it what is locked stays, as far as the ranges allow
set -euo pipefail
cd "$(dirname "$0")/.."
locked=packaging/locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/tools"
"$work/tools/bin/python" -m pip --quiet --disable-pip-version-check install 'uv>=0.5,<1'

# For every Python and system that pyproject.toml allows, not only for this machine.
resolve() {
  local name=$1
  shift
  UV_CUSTOM_COMPILE_COMMAND='make lock' "$work/tools/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-annotate "$@" --output-file "$locked/$name.txt"
}

resolve development "${@:1}" --extra pcsc --extra service --extra shell --extra dev pyproject.toml packaging/locked/building.in
# The others are parts of it, so that one package has one version everywhere.
within=(--constraint "$locked/development.txt")
resolve service "${within[@]}" --extra service --extra shell pyproject.toml
"$work/tools/bin/python" - >"$work/readers.in" <<'END'
import tomllib

print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["pcsc"], sep="\n")
END
resolve readers "${within[@]}" "$work/readers.in"
resolve building "${within[@]}" packaging/locked/building.in
