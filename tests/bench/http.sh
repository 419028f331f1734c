#!/bin/sh
# Seconds from request to result through the real daemon; `make bench-http` runs it.
#
# Trains two models for one step (how good they are does not matter here), then has the
# client upload an image, wait for the job and fetch the result, and compares that with the
# time that the net alone takes on an image of this size.
#
# BUILD         folder of the programs (build); the report is $BUILD/bench-http.json
# THREADS       of a worker (2)
# REPETITIONS   with images of 256 x 256 (15); a third of it with 2048 x 2048
set -eu
build=$(cd "${BUILD:-build}" && pwd)
threads=${THREADS:-2}
repetitions=${REPETITIONS:-15}
few=$(((repetitions + 2) / 3))
daemon=""
work=$(mktemp -d)
say() { echo "bench-http: $*" >&2; }
fail() { say "$*"; exit 1; }

cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; }
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for program in denoised denoise peer_net; do
    [ -x "$build/$program" ] || fail "$program is not built; run make bench-http"
done
command -v curl >/dev/null 2>&1 || fail "curl is not installed"

start_daemon() {
    "$build/denoised" --listen 127.0.0.1:0 --state "$work/state" --threads "$threads" \
        >"$work/out" 2>"$work/log" &
    daemon=$!
    tries=0
    while ! grep -q '^listening on ' "$work/out"; do
        kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; fail "the daemon ended"; }
        tries=$((tries + 1))
        [ "$tries" -lt 150 ] || fail "the daemon did not say within 30 s that it listens"
        sleep 0.2
    done
    DENOISE_SERVER=$(sed -n 's/^listening on //p' "$work/out")
    export DENOISE_SERVER
}

now_ms() { date +%s%3N; }
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
field() { sed -n "s/.*\"$1\": *\"\\([^\"]*\\)\".*/\\1/p"; }

# Milliseconds between start and end of the newest denoise job, by the daemon's clock.
job_ms() {
    "$build/denoise" status --kind denoise --limit 1 --json >"$work/job"
    tr ',' '\n' <"$work/job" >"$work/fields"
    from=$(field started_at <"$work/fields" | head -n 1)
    to=$(field finished_at <"$work/fields" | head -n 1)
    if [ -z "$from" ] || [ -z "$to" ]; then fail "the daemon does not tell when the job ran"; fi
    echo $(($(date -d "$to" +%s%3N) - $(date -d "$from" +%s%3N)))
}

# Median milliseconds of the net alone: net_ms WEIGHTS SIDE COUNT
net_ms() {
    yes '' | head -n "$3" | "$build/peer_net" page "$1" "$threads" "$2" >"$work/net" ||
        fail "the net could not be timed"
    sed 1d "$work/net" | median
}

# measure MODEL SIDE COUNT: one line of the table, one object of the report.
measure() {
    model=$1 side=$2 count=$3
    : >"$work/total"
    : >"$work/jobs"
    # The first request is not counted: it finds the files of the daemon unread.
    for i in $(seq 0 "$count"); do
        # Other bytes each time, or the daemon would know the image already.
        image="$work/$side/scene01/frame_$(printf %02d $((i + 1))).tif"
        rm -rf "$work/result"
        begin=$(now_ms)
        "$build/denoise" submit "$image" --model "$model" -o "$work/result" \
            >/dev/null 2>"$work/client" || { cat "$work/client" >&2; fail "a job failed"; }
        end=$(now_ms)
        [ "$i" -eq 0 ] && continue
        echo $((end - begin)) >>"$work/total"
        job_ms >>"$work/jobs"
    done
    comma=","
    [ -s "$work/rows" ] || comma=" "
    net=$(net_ms "$work/$model.safetensors" "$side" "$count")
    awk -v model="$model" -v side="$side" -v count="$count" -v net="$net" \
        -v total="$(median <"$work/total")" -v job="$(median <"$work/jobs")" \
        -v comma="$comma" -v report="$work/rows" 'BEGIN {
            over = 100 * (total - net) / net
            printf "%-8s %4d x %-4d %10.1f %10.1f %10.1f %11.1f %%\n",
                model, side, side, total, job, net, over
            printf "%s {\"model\": \"%s\", \"side\": %d, \"repetitions\": %d, " \
                "\"request_to_result_ms\": %.1f, \"job_ms\": %.1f, \"net_ms\": %.1f, " \
                "\"overhead_percent\": %.1f}\n",
                comma, model, side, count, total, job, net, over >>report
        }'
}

start_daemon
for side in 256 2048; do
    frames=$repetitions
    [ "$side" -eq 256 ] || frames=$few
    "$build/denoise" simulate "$work/$side" --scenes 1 --frames $((frames + 1)) \
        --size "${side}x$side" >/dev/null
done
# Preset cpu as it is, and with the net of preset paper.
for model in cpu paper; do
    set -- --set iterations=1 --set batch=1 --set crop=128 --set validation_fraction=0
    [ "$model" = cpu ] || set -- "$@" --set ngf=64 --set downs=7
    "$build/denoise" train --name "$model" --pairs "$work/256/pairs.csv" --preset cpu "$@" \
        --wait >/dev/null 2>"$work/client" || { cat "$work/client" >&2; fail "no model"; }
    curl -sSf -o "$work/$model.safetensors" \
        "$DENOISE_SERVER/v1/models/$model/versions/1/weights"
done

echo "medians in ms, $threads threads; overhead: what the request takes beyond the net's own time"
echo "model           image    request        job        net     overhead"
: >"$work/rows"
for model in cpu paper; do
    measure "$model" 256 "$repetitions"
    measure "$model" 2048 "$few"
done
{
    printf '{"threads": %d, "rows": [\n' "$threads"
    cat "$work/rows"
    printf ']}\n'
} >"$build/bench-http.json"
echo "written: ${BUILD:-build}/bench-http.json"
