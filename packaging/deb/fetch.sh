#!/usr/bin/env bash
# Fills the wheelhouse, .venv/wheelhouse, with all that build.sh needs, so that it needs no network afterwards.
#   packaging/deb/fetch.sh
# Needs python3-venv, and for pyscard, which has no wheel for Linux: python3-dev, libpcsclite-dev, gcc, pkg-config.
. "$(dirname "$0")/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/pip"
pip() { "$work/pip/bin/python" -m pip --quiet "$@"; }

say "fetching wheels for $("$python" --version) into $wheelhouse"
mapfile -t build_backend < <("$python" -c 'import sys, tomllib
print("\n".join(tomllib.load(open(sys.argv[1], "rb"))["build-system"]["requires"]))' "$root/pyproject.toml")
# No cache: it may hold a pyscard that another Python of this machine built, linked against that one's folders.
pip wheel --no-cache-dir --wheel-dir "$work/wheels" "${root}[$extras]" "${build_backend[@]}"
# The project's own wheel is made at each build from the sources as they are then.
rm "$work"/wheels/cardio-*.whl
rm -rf "$wheelhouse"
mkdir -p "$(dirname "$wheelhouse")"
mv "$work/wheels" "$wheelhouse"
