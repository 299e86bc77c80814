#!/usr/bin/env bash
# Runs a command with a private /run and a private loopback, so that its pcscd, its virtual readers
# and its ports meet no other program's. Needs root, or a kernel that lets users make namespaces.
set -euo pipefail
export CARDIO_TESTS_ISOLATED=1
enter='mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
if [ "$(id -u)" = 0 ] && unshare --mount --net true 2>/dev/null; then
  exec unshare --mount --net --fork bash -c "$enter" isolated "$@"
elif unshare --user --map-root-user --mount --net true 2>/dev/null; then
  exec unshare --user --map-root-user --mount --net --fork bash -c "$enter" isolated "$@"
fi
unset CARDIO_TESTS_ISOLATED
echo "isolated.sh: no namespaces here; running on the machine's own /run and loopback" >&2
exec "$@"
