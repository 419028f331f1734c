#!/bin/sh
# Runs harnesses one after the other for some seconds each and ends with a line per name.
#   tests/fuzz/run.sh BUILD SECONDS NAME...
# What libFuzzer found worth keeping goes into BUILD/corpus/NAME, a finding is BUILD/NAME-*.
set -u
build=$1
seconds=$2
shift 2
status=0
summary=""
for name in "$@"; do
    mkdir -p "$build/corpus/$name"
    log="$build/$name.log"
    # Strict limits: a page of a megabyte is never worth two seconds or half a gigabyte.
    "$build/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=16384 -artifact_prefix="$build/$name-" -print_final_stats=1 \
        "$build/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ "$code" -eq 0 ]; then
        summary="$summary
$name: $runs runs, nothing found"
    else
        status=1
        tail -n 40 "$log"
        summary="$summary
$name: FOUND something after ${runs:-?} runs (exit $code), see $log"
    fi
done
echo "$summary"
exit $status
