#!/bin/sh
# Installs the Debian packages of the given groups (default: build) that are missing.
#   deploy/setup.sh [build|run|lint|fuzz|deb]...
# As root, or through sudo, by apt-get; on another system it prints the list and stops.
set -eu
list=$(dirname "$0")/debian-packages.txt
[ $# -gt 0 ] || set -- build
wanted=""
for group in "$@"; do
    wanted="$wanted $(sed -n "s/^$group //p" "$list" | tr '\n' ' ')"
done
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    [ -n "${DENOISED_SKIP_SETUP:-}" ] && exit 0
    echo "setup: this is not a Debian system; install what these packages hold, then run make again" >&2
    echo "setup: (with DENOISED_SKIP_SETUP=1 set, this step is skipped):" >&2
    for package in $wanted; do echo "  $package" >&2; done
    exit 1
fi
missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "setup: installing the missing Debian packages:$missing" >&2
root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "setup: neither root nor sudo; run as root: apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $root apt-get -q update &&
       DEBIAN_FRONTEND=noninteractive $root apt-get -q -y --no-install-recommends install $missing; } \
       >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed" >&2
    exit 1
fi
