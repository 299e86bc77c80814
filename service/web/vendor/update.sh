#!/usr/bin/env bash
# Makes the files of this folder again from their npm packages: service/web/vendor/update.sh
# Another version: change it here, run this, read the changes, run the browser tests.
set -euo pipefail
cd "$(dirname "$0")"
preact=11.2.0
htm=3.1.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # name version
  mkdir "$work/$1"
  (cd "$work" && npm pack --silent "$1@$2" >/dev/null && tar -xzf "$1-$2.tgz" -C "$1")
}
fetch preact "$preact"
fetch htm "$htm"

# Browsers resolve no bare names without an import map, which the page's policy forbids; the maps are not shipped.
module() { sed -e 's#from"preact"#from"./preact.js"#' -e '/^\/\/# sourceMappingURL=/d' "$1"; }
module "$work/preact/package/dist/preact.mjs" >preact.js
module "$work/preact/package/hooks/dist/hooks.mjs" >hooks.js
module "$work/htm/package/dist/htm.module.js" >htm.js
cp "$work/preact/package/LICENSE" LICENSE-preact
cp "$work/htm/package/LICENSE" LICENSE-htm

sum() { sha256sum "$1" | cut -d' ' -f1; }
cat >README.md <<END
# Vendored modules

Made by \`update.sh\` from the npm registry; never edited by hand. The only changes: \`from"preact"\` became
\`from"./preact.js"\`, and the lines that name source maps are gone.

| file | package | version | from the package's | licence | sha256 |
|---|---|---|---|---|---|
| \`preact.js\` | preact | $preact | \`dist/preact.mjs\` | MIT (\`LICENSE-preact\`) | \`$(sum preact.js)\` |
| \`hooks.js\` | preact | $preact | \`hooks/dist/hooks.mjs\` | MIT (\`LICENSE-preact\`) | \`$(sum hooks.js)\` |
| \`htm.js\` | htm | $htm | \`dist/htm.module.js\` | Apache-2.0 (\`LICENSE-htm\`) | \`$(sum htm.js)\` |
END
