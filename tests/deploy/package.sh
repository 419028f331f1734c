#!/bin/sh
# The life of the Debian packages in a system that has never seen them: tests/deploy/life.sh
# runs in there.  `make test-deb` runs it, as root, with debootstrap and a mirror of Debian.
#   tests/deploy/package.sh [BUILD]
#
# DENOISED_DEBS   a folder with packages that are there already; else `make deb` makes them
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build}
. tests/deploy/root.sh
root_begin "the life of the packages" "$build"

debs=${DENOISED_DEBS:-$build/deb}
[ -n "${DENOISED_DEBS:-}" ] || make --no-print-directory BUILD="$build" deb
debs=$(cd "$debs" && pwd)

# The packages are built with what the list says, and check and curl for tests.
listed=$(sed -n 's/^build //p' deploy/debian-packages.txt | grep -vxE 'gcc|make|libc6-dev' | sort)
wanted=$(sed -n '/^Build-Depends:/,/^[A-Z]/s/^ \([a-z0-9.-]*\).*/\1/p' deploy/debian/control |
    grep -v '^d[eh]' | sort)
if [ "$listed" != "$wanted" ]; then
    echo "FAILED deploy/debian/control and deploy/debian-packages.txt differ:"
    printf '%s\n' "$listed" "$wanted" | sort | uniq -u
    exit 1
fi

root_new "$work/root"
set +e
root_enter "$work/root" "$debs:/packages" "$PWD/tests/deploy:/life" -- \
    sh /life/life.sh "$(cat VERSION)"
status=$?
[ "$status" -eq 0 ] || echo "FAILED the life of the packages (exit $status)"
exit "$status"
