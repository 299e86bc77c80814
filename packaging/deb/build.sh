#!/usr/bin/env bash
# Builds cardio_VERSION_ARCH.deb for the Debian that it runs on, and prints its path.
#   packaging/deb/build.sh OUTPUT_DIR
# From the wheelhouse that fetch.sh filled and nothing else, or, where there is none, from the package index. The same
# sources and wheels give the same bytes. Needs python3-venv and dpkg-dev; not root.
. "$(dirname "$0")/common.sh"
output=$(mkdir -p "${1:?usage: build.sh OUTPUT_DIR}" && cd "$1" && pwd)
here=$root/packaging

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
umask 022
version=$("$python" -c 'import sys, tomllib
print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])' "$root/pyproject.toml")
# 0.2.0rc1 comes before 0.2.0: Debian says that with a tilde.
version=$(sed -E 's/\.?(a|b|rc|dev)([0-9]+)/~\1\2/g' <<<"$version")
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(
  git -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/pyproject.toml")}

say "cardio $version for $architecture, $("$python" --version)"
mkdir -p "$tree/opt"
"$python" -m venv "$tree/opt/cardio"
if [ ! -d "$wheelhouse" ]; then
  wheelhouse=$work/wheelhouse
  CARDIO_WHEELHOUSE=$wheelhouse "$root/packaging/deb/fetch.sh"
fi
# Each wheel is checked against the lock files, so what lies in the wheelhouse need not be believed; but for what fetch.sh
# has built, whose hash it notes there: that may be the readers' packages in their locked versions, and nothing else.
while IFS= read -r line || [ -n "$line" ]; do
  if ! [[ $line =~ ^([A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+)\ --hash=sha256:[0-9a-f]{64}$ ]] ||
    ! grep -qxF "${BASH_REMATCH[1]} \\" "$locked/readers.txt"; then
    say "$wheelhouse/built.txt names what packaging/locked/readers.txt does not: run packaging/deb/fetch.sh again"
    exit 1
  fi
done <"$wheelhouse/built.txt"
install=(-m pip --quiet install --no-compile --no-index --find-links "$wheelhouse")
refused="a wheel is missing, or is not the one of packaging/locked: run packaging/deb/fetch.sh again"
"$tree/opt/cardio/bin/python" "${install[@]}" --require-hashes -r "$locked/service.txt" -r "$wheelhouse/built.txt" || {
  say "$refused"
  exit 1; }
"$python" -m venv "$work/builder"
"$work/builder/bin/python" "${install[@]}" --require-hashes -r "$locked/building.txt" || {
  say "$refused"
  exit 1; }
"$work/builder/bin/python" -m pip --quiet wheel --no-deps --no-build-isolation --no-index --wheel-dir "$work/cardio" "$root"
"$tree/opt/cardio/bin/python" -m pip --quiet install --no-compile --no-index --no-deps "$work"/cardio/cardio-*.whl
"$tree/opt/cardio/bin/python" -m pip --quiet uninstall --yes pip setuptools 2>/dev/null

# What names the folder of this build, or what only a developer would call, stays out.
packages=$(echo "$tree"/opt/cardio/lib/python3.*/site-packages)
find "$tree/opt/cardio/bin" -mindepth 1 ! -name 'python*' -delete
rm -rf "$tree/opt/cardio/include" "$packages"/*.dist-info/{direct_url.json,REQUESTED}
sed -i -E '/^(\.\.\/)+bin\/|direct_url\.json|\/REQUESTED,/d' "$packages"/*.dist-info/RECORD
sed -i -E '/^(command|executable) /d' "$tree/opt/cardio/pyvenv.cfg"
find "$tree" -name __pycache__ -prune -exec rm -rf {} +
# A library that is looked for in a folder of the build machine would be loaded from there on a desk, by whoever made it.
while IFS= read -r -d '' library; do
  if objdump -p "$library" | grep -E '^ +R(UN)?PATH' | grep -qv '\$ORIGIN'; then
    say "$library was linked on another Python, with a search path of its own: run packaging/deb/fetch.sh"
    exit 1
  fi
done < <(find "$packages" -name '*.so*' -type f -print0)
"$tree/opt/cardio/bin/python" -I "$here/deb/bundled.py" "$locked/cardio.openvex.json" >"$work/bundled-packages.txt"
# Compiled here: clerks cannot write below /opt, and would wait for the compiler at each start.
"$tree/opt/cardio/bin/python" -I -m compileall -q -s "$tree" -p / --invalidation-mode unchecked-hash "$packages"
install -m 755 "$here/deb/cardio" "$tree/opt/cardio/bin/cardio"
install -d "$tree/usr/bin"
ln -s /opt/cardio/bin/cardio "$tree/usr/bin/cardio"

for unit in cardio.service cardio-ports.service; do
  install -D -m 644 "$here/systemd/$unit" "$tree/usr/lib/systemd/system/$unit"
  install -D -m 644 "$here/systemd/user/$unit" "$tree/usr/lib/systemd/user/$unit"
done
# Rules are asked in the order of their names, and the first that decides has decided: the site's come before ours.
install -D -m 644 "$here/polkit/50-cardio.rules" "$tree/usr/share/polkit-1/rules.d/zz-cardio.rules"
install -D -m 644 "$here/bridge.toml" "$tree/etc/cardio/bridge.toml"
install -D -m 644 "$here/desktop/cardio.desktop" "$tree/usr/share/applications/cardio.desktop"
install -D -m 644 "$here/desktop/autostart.desktop" "$tree/etc/xdg/autostart/cardio.desktop"
install -D -m 644 "$root/service/web/icon.svg" "$tree/usr/share/icons/hicolor/scalable/apps/cardio.svg"
speak() { "$tree/opt/cardio/bin/python" -I -c 'from cardio.cli.main import run; run()' completion "$@"; }
install -d "$tree/usr/share/man/man1" "$tree/usr/share/man/zh_CN/man1" "$tree/usr/share/bash-completion/completions" \
  "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d"
speak man --lang en | gzip -9n >"$tree/usr/share/man/man1/cardio.1.gz"
speak man --lang zh | gzip -9n >"$tree/usr/share/man/zh_CN/man1/cardio.1.gz"
speak bash >"$tree/usr/share/bash-completion/completions/cardio"
speak zsh >"$tree/usr/share/zsh/vendor-completions/_cardio"
speak fish >"$tree/usr/share/fish/vendor_completions.d/cardio.fish"
documents=$tree/usr/share/doc/cardio
install -d "$documents"
cp -r --no-preserve=mode "$here/policies" "$documents/policies"
install -m 644 "$here/deb/README.Debian" "$root/NOTICE" "$root/CHANGELOG.md" "$root"/docs/operating{,.en}.md \
  "$work/bundled-packages.txt" "$locked/cardio.openvex.json" "$documents"
install -m 644 "$here/deb/copyright" "$documents/copyright"

control=$tree/DEBIAN
install -d "$control"
for script in postinst prerm postrm; do install -m 755 "$here/deb/$script" "$control/$script"; done
printf '%s\n' /etc/cardio/bridge.toml /etc/xdg/autostart/cardio.desktop >"$control/conffiles"
(cd "$tree" && find opt usr -type f -print0 | LC_ALL=C sort -z |
  xargs -0 md5sum >"$control/md5sums")
# Compiled modules hold for one minor version of Python; the shared libraries say which libc they need.
minor=$("$python" -c 'import sys; print(sys.version_info.minor)')
mkdir -p "$work/shlibs/debian"
printf 'Source: cardio\n\nPackage: cardio\nArchitecture: any\n' >"$work/shlibs/debian/control"
libraries=$(cd "$work/shlibs" && find "$packages" -name '*.so*' -type f -print0 |
  xargs -0 dpkg-shlibdeps --ignore-missing-info -O 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@LIBRARIES@/${libraries:-libc6}/" \
  -e "s/@PYTHON@/3.$minor/" -e "s/@NEXT_PYTHON@/3.$((minor + 1))/" \
  -e "s/@SIZE@/$(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f1)/" "$here/deb/control.in" >"$control/control"

find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
package=$output/cardio_${version}_${architecture}.deb
# xz with several threads would depend on how many there are.
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
