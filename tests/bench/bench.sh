#!/bin/sh
# All figures of denoised by itself; `make bench` runs it.  No network is needed.
#
# BUILD         folder of the programs (build); the report is $BUILD/bench.json
# THREADS       of every measurement (2)
# REPETITIONS   of requests to the daemon (15)
#
# Every line of `jobs` is one run of the program `bench`; the last part is what http.sh
# measures through the daemon.
set -eu
here=$(dirname "$0")
build=${BUILD:-build}
threads=${THREADS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

touch "$work/runs"
jobs="layers --batch 1
layers --batch 4
infer --batch 1
infer --batch 4
infer --batch 1 --isa avx2
infer --batch 1 --isa plain
infer --batch 1 --winograd off
infer --batch 1 --threads 1
infer --batch 1 --preset cpu
infer --batch 4 --preset cpu
train --batch 4 --set contrastive=none
train --batch 4 --set contrastive=disc-infonce
train --batch 8 --preset cpu
train --batch 8 --preset cpu_gan
scaling --batch 4 --set contrastive=none
scaling --batch 8 --preset cpu
sizes --preset cpu
sizes --preset paper"

# Not piped into the loop, which then could not end the script.
echo "$jobs" >"$work/jobs"
while read -r job; do
    # A later --threads wins.
    # shellcheck disable=SC2086
    if "$build/bench" ${job%% *} --threads "$threads" ${job#* } --report "$work/run"; then
        [ ! -s "$work/runs" ] || echo "," >>"$work/runs"
        cat "$work/run" >>"$work/runs"
    else
        case $job in
            *--isa*) echo "skipped, as this processor has no such instructions: $job" ;;
            *) exit 1 ;;
        esac
    fi
    echo
done <"$work/jobs"

BUILD=$build THREADS=$threads "$here/http.sh"
{
    printf '{"threads": %d, "runs": [\n' "$threads"
    cat "$work/runs"
    printf '], "http": '
    cat "$build/bench-http.json"
    printf '}\n'
} >"$build/bench.json"
echo "written: $build/bench.json"
