#!/bin/sh
# The page in a real browser, against the real daemon.
#   tests/web/run.sh BUILD modules|smoke|full
# Pictures of every screen come to BUILD/web/pictures.  Exit 77: something that it needs is
# missing, and what is said begins with "skipped: ".
set -eu
build=$1
form=$2
here=$(dirname "$0")
work=$build/web

skip() {
    echo "skipped: page, $form ($*)"
    exit 77
}

command -v node >/dev/null 2>&1 || skip "no node"
mkdir -p "$work/tests/web" "$work/api/web"
cp "$here"/*.mjs "$here/package.json" "$work/tests/web"
# node takes .js for modules where a package.json says so
cp "$here"/../../api/web/*.js "$work/api/web"
cp "$here/package.json" "$work/api"
if [ "$form" = modules ]; then exec node --test "$work/tests/web/modules.test.mjs"; fi

for browser in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
    CHROMIUM=$(command -v "$browser" 2>/dev/null) && break
done
[ -n "${CHROMIUM:-}" ] || skip "no chromium"
export CHROMIUM
if ! cmp -s "$here/package.json" "$work/package.json"; then
    command -v npm >/dev/null 2>&1 || skip "no npm"
    cp "$here/package.json" "$work/package.new"
    mkdir -p "$work/fetch"
    cp "$here/package.json" "$work/fetch"
    (cd "$work/fetch" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --ignore-scripts --no-audit --no-fund \
        --silent >/dev/null 2>&1) || skip "npm cannot fetch playwright-core and axe-core"
    rm -rf "$work/node_modules"
    mv "$work/fetch/node_modules" "$work/node_modules"
    mv "$work/package.new" "$work/package.json"
fi
rm -rf "$work/pictures"
exec node "$work/tests/web/drive.mjs" "$build" "$work" "$work/pictures" "$form"
