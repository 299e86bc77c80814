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
# Nothing is taken that is not in the lock files: one version, and the hash of each of its files (make lock).
pip install --require-hashes -r "$locked/building.txt"
# No cache: it may hold a pyscard that another Python of this machine built, linked against that one's folders.
pip wheel --no-cache-dir --require-hashes --wheel-dir "$work/wheels" -r "$locked/service.txt" -r "$locked/building.txt"
# pyscard is built here, so its wheel has a hash that no lock file can know: it is noted beside it for build.sh.
PATH=$work/pip/bin:$PATH pip wheel --no-cache-dir --no-build-isolation --require-hashes --wheel-dir "$work/built" \
  -r "$locked/readers.txt"
(cd "$work/built" && for wheel in *.whl; do
  printf '%s --hash=sha256:%s\n' "$(sed -E 's/^([^-]+)-([^-]+)-.*/\1==\2/' <<<"$wheel")" \
    "$(sha256sum "$wheel" | cut -d' ' -f1)"
done) >"$work/wheels/built.txt"
mv "$work/built"/*.whl "$work/wheels"
rm -rf "$wheelhouse"
mkdir -p "$(dirname "$wheelhouse")"
mv "$work/wheels" "$wheelhouse"
