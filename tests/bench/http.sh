#!/bin/bash
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
    : >"$work/out" # of an earlier one
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

# Microseconds; of the shell itself, since a program that tells the time takes one to start.
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
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

# The net alone in a process of its own, which says "ready" and then, whenever a line is
# written to it, the milliseconds of an image: start_net WEIGHTS SIDE
start_net() {
    coproc net { exec "$build/peer_net" page "$1" "$threads" "$2"; }
    # shellcheck disable=SC2154  # the shell sets it, and unsets it when the process ends
    net_pid=$net_PID
    read -r -u "${net[0]}" line || fail "the net cannot be timed"
}

# By turns with requests, so that a busy neighbour slows both; the pause lets the threads of
# the one before go to sleep.
net_ms() {
    sleep 0.1
    echo >&"${net[1]}"
    read -r -u "${net[0]}" line || fail "the net could not be timed"
    echo "$line" >>"$work/net"
    sleep 0.1
}

stop_net() {
    eval "exec ${net[1]}>&-"
    wait "$net_pid"
}

# Milliseconds that the client takes to start and to make one request that takes no time;
# a person who works with the web page or another client does not wait for them.
client_ms() {
    : >"$work/client_us"
    for _ in $(seq "$repetitions"); do
        begin=$(now_us)
        "$build/denoise" status --limit 1 >/dev/null
        end=$(now_us)
        echo $((end - begin)) >>"$work/client_us"
    done
    median <"$work/client_us" | awk '{ print $1 / 1000 }'
}

# Uploads image number $3 of a side, waits and fetches; microseconds: submit MODEL SIDE NUMBER
submit() {
    # Other bytes each time, or the daemon would know the image already.
    image="$work/$2/scene01/frame_$(printf %02d "$3").tif"
    rm -rf "$work/result"
    begin=$(now_us)
    "$build/denoise" submit "$image" --model "$1" -o "$work/result" \
        >/dev/null 2>"$work/client" || { cat "$work/client" >&2; fail "a job failed"; }
    end=$(now_us)
    echo $((end - begin))
}

# Pieces of the report, one per line.
add_row() { printf '%s {%s}\n' "$([ -s "$work/rows" ] && echo , || echo ' ')" "$1" >>"$work/rows"; }

# measure MODEL SIDE COUNT: one line of the table, one object of the report.
measure() {
    local model=$1 side=$2 count=$3
    : >"$work/total"
    : >"$work/jobs"
    : >"$work/net"
    start_net "$work/$model.safetensors" "$side"
    # The first request is not counted: it finds the files of the daemon unread.
    submit "$model" "$side" 1 >/dev/null
    for i in $(seq "$count"); do
        submit "$model" "$side" $((i + 1)) >>"$work/total"
        job_ms >>"$work/jobs"
        net_ms
    done
    stop_net
    awk -v model="$model" -v side="$side" -v count="$count" -v client="$client" \
        -v net="$(median <"$work/net")" \
        -v total="$(median <"$work/total")" -v job="$(median <"$work/jobs")" \
        -v row="$work/row" 'BEGIN {
            total /= 1000
            over = total - net
            printf "%-8s %4d x %-4d %10.1f %10.1f %10.1f %10.1f %9.1f %%\n",
                model, side, side, total, job, net, over, 100 * over / net
            printf "\"model\": \"%s\", \"side\": %d, \"repetitions\": %d, " \
                "\"request_to_result_ms\": %.1f, \"job_ms\": %.1f, \"net_ms\": %.1f, " \
                "\"overhead_ms\": %.1f, \"overhead_percent\": %.1f, " \
                "\"overhead_without_client_start_ms\": %.1f",
                model, side, count, total, job, net, over, 100 * over / net,
                over - client >row
        }'
    add_row "$(cat "$work/row")"
}

# The first image for a model, which must be read and packed.  After a start of the daemon,
# because each of its workers keeps the model of its last job.
measure_first() {
    local model=$1 count=$2
    : >"$work/total"
    for i in $(seq "$count"); do
        kill "$daemon"
        wait "$daemon" || fail "the daemon did not end in order"
        start_daemon
        submit "$model" 256 $((i + 1)) >>"$work/total"
    done
    total=$(median <"$work/total" | awk '{ printf "%.1f", $1 / 1000 }')
    printf '%-8s %4d x %-4d %10.1f   the first for its model\n' "$model" 256 256 "$total"
    add_row "\"model\": \"$model\", \"side\": 256, \"repetitions\": $count, \
\"first_for_its_model_ms\": $total"
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

client=$(client_ms)
echo "medians in ms, $threads threads; overhead: what the request takes beyond the net's own time"
echo "model           image    request        job        net   overhead"
: >"$work/rows"
for model in cpu paper; do
    measure "$model" 256 "$repetitions"
    measure "$model" 2048 "$few"
done
measure_first cpu "$few"
measure_first paper "$few"
printf 'of each overhead, start of the client and an empty request: %.1f\n' "$client"
{
    printf '{"threads": %d, "client_start_ms": %.1f, "rows": [\n' "$threads" "$client"
    cat "$work/rows"
    printf ']}\n'
} >"$build/bench-http.json"
echo "written: ${BUILD:-build}/bench-http.json"
