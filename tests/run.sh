#!/bin/sh
# Runs test programs one after the other and ends with a line of counts.
#   tests/run.sh BUILD PROGRAM...
set -u
build=$1
shift
export DENOISED_BUILD="$build"
passed=0 failed=0 skipped=0 bad=""
limit=900 # seconds for a program
[ "${DENOISED_TEST_FULL:-}" != 1 ] || limit=7200
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
    start=$(date +%s)
    timeout "$limit" "$program" >"$log" 2>&1
    status=$?
    end=$(date +%s)
    grep '^skipped: ' "$log" | sort -u
    skips=$(grep -c '^skipped: ' "$log")
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' "$log" | tail -n 1)
    set_checks=${checks:-"0 0 1"}
    n=${set_checks%% *}
    rest=${set_checks#* }
    f=$((${rest% *} + ${rest#* }))
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    passed=$((passed + n - f - skips))
    failed=$((failed + f))
    skipped=$((skipped + skips))
    name=${program#"$build"/tests/}
    if [ "$f" -ne 0 ] || [ "$status" -ne 0 ]; then
        bad="$bad $name"
        echo "FAILED $name (exit $status)"
        cat "$log"
    else
        echo "ok     $name: $n tests, $((end - start)) s"
    fi
done
[ -z "$bad" ] || echo "failed programs:$bad"
[ "$passed" -ge 0 ] || passed=0
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
