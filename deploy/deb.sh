#!/bin/sh
# Builds the Debian packages; `make deb` runs it.  Nothing is fetched from anywhere.
#
# The sources, with deploy/debian as their folder debian, go to a temporary folder, where
# dpkg-buildpackage makes the source package, the binary packages and their debug symbols.
# The version is that of VERSION, the date that of the last commit (of CHANGELOG.md without
# git), so that the same sources give the same packages.
#
# BUILD               the packages go to $BUILD/deb (build)
# DEB_REVISION        revision of the packaging (1)
# DEB_BUILD_OPTIONS   as in Debian: nocheck, noopt, parallel=N
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${BUILD:-build}/deb"
out=$(cd "${BUILD:-build}/deb" && pwd)
version=$(cat VERSION)
full=$version-${DEB_REVISION:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/denoised-$version
mkdir "$tree"

if git rev-parse --git-dir >/dev/null 2>&1; then
    # What is tracked, as it is now; a file that was removed is still listed.
    git ls-files | while read -r f; do [ ! -f "$f" ] || echo "$f"; done >"$work/files"
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
else
    find . -path ./build -prune -o -path ./state -prune -o -path ./demo-out -prune \
        -o -type f -print >"$work/files"
    SOURCE_DATE_EPOCH=$(stat -c %Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH
tar -cf - -T "$work/files" | tar -C "$tree" -xf -
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --mode=u+rwX,go=rX -czf "$work/denoised_$version.orig.tar.gz" "denoised-$version"

cp -R "$tree/deploy/debian" "$tree/debian"
maintainer=$(sed -n 's/^Maintainer: //p' "$tree/debian/control")
cat >"$tree/debian/changelog" <<END
denoised ($full) unstable; urgency=medium

  * What is new is in CHANGELOG.md.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END

unset BUILD MAKEFLAGS MFLAGS MAKELEVEL CI CC CFLAGS LDFLAGS
if ! (cd "$tree" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}" \
        dpkg-buildpackage -us -uc) >"$out/build.log" 2>&1; then
    tail -n 40 "$out/build.log" >&2
    echo "deb: the packages were not built; $out/build.log has it all" >&2
    exit 1
fi
rm -f "$out"/*.deb "$out"/*.dsc "$out"/*.tar.* "$out"/*.changes "$out"/*.buildinfo
find "$work" -maxdepth 1 -type f ! -name files -exec mv {} "$out" \;
if command -v lintian >/dev/null 2>&1; then
    lintian --allow-root --fail-on error,warning --tag-display-limit 0 --display-info \
        "$out/denoised_${full}_$(dpkg --print-architecture).changes"
fi
ls -l "$out"/*.deb
