#!/bin/sh
# The contract, linted by Redocly, and every answer of the HTTP tests held against it by Ajv.
#   tests/contract/run.sh BUILD PROGRAM...
set -eu
build=$1
shift
command -v npm >/dev/null 2>&1 || { echo "skipped: contract: there is no npm"; exit 0; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$build/contract"
cp "$here/package.json" "$here/validate.mjs" "$build/contract/"
cp openapi.yaml "$build/contract/"
(cd "$build/contract" && npm install --silent --no-audit --no-fund) ||
    { echo "skipped: contract: npm cannot fetch its packages"; exit 0; }
(cd "$build/contract" && npx --no-install redocly lint --extends=recommended \
    --skip-rule=operation-4xx-response --skip-rule=tag-description openapi.yaml)
answers="$build/contract/answers.jsonl"
rm -f "$answers"
DENOISED_TEST_ANSWERS="$(realpath "$build")/contract/answers.jsonl" "$here/../run.sh" "$build" "$@"
(cd "$build/contract" && node validate.mjs openapi.yaml answers.jsonl)
