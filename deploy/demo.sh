#!/bin/sh
# The main job of denoised on a few images: train, evaluate, denoise, compare.
#   deploy/demo.sh [DATA]
# Without DATA it simulates images; with DATA it takes those of DATA/pairs.csv and keeps
# the last fifth of the scenes for the evaluation.  Everything goes through the daemon's
# REST interface and is written to a fresh ./demo-out.
#
# BUILD            folder of the programs (build)
# DEMO_ITERATIONS  steps of the training (by default about 100 s on 2 cores)
# DEMO_DIR         folder to write to (demo-out)
set -eu
build=${BUILD:-build}
iterations=${DEMO_ITERATIONS:-1500}
out=${DEMO_DIR:-demo-out}
data=${1:-}
marker=.denoised-demo
daemon=""
client=""

fail() { echo "demo: $*" >&2; exit 1; }

# Ends a process of ours; it gets 15 s to do so in order.
end() {
    kill "$1" 2>/dev/null || return 0
    waited=0
    while kill -0 "$1" 2>/dev/null && [ "$waited" -lt 150 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -9 "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    [ -z "$client" ] || end "$client"
    [ -z "$daemon" ] || end "$daemon"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, because a shell acts on a signal only while it waits.
denoise() {
    "$build/denoise" "$@" &
    client=$!
    code=0
    wait "$client" || code=$?
    client=""
    return $code
}

step() { printf '\n== %s\n' "$*"; }

for program in denoised denoise; do
    [ -x "$build/$program" ] || fail "$build/$program is not built; run make"
done
if [ -n "$data" ] && [ ! -f "$data/pairs.csv" ]; then
    fail "$data has no pairs.csv (a table with the columns noisy and gt)"
fi
if [ -e "$out" ]; then
    [ -f "$out/$marker" ] || fail "$out exists and was not made by this demonstration"
    rm -rf "$out"
fi
mkdir -p "$out"
: >"$out/$marker"
began=$(date +%s)

if [ -n "$data" ]; then
    pairs=$data/pairs.csv contrast=each zoom=1
else
    step "simulate: 10 scenes of nuclei with known truth, 2 noisy frames each"
    pairs=$out/data/pairs.csv contrast=3 zoom=2
    denoise simulate "$out/data" --scenes 10 --frames 2 --size 256x256 --seed 7 \
        --peak-photons 30 --background-photons 1
fi
# Scenes are divided, not frames: what is judged was never seen.
denoise pairs "$pairs" --held-out 0.2 >"$out/held.txt" || exit 1
denoise pairs "$pairs" --hold-out 0.2 >"$out/train.txt" || exit 1
echo "$(wc -l <"$out/train.txt") noisy images to train on, $(wc -l <"$out/held.txt") held out"

step "start the daemon"
"$build/denoised" --listen 127.0.0.1:0 --state "$out/state" \
    >"$out/denoised.out" 2>"$out/denoised.log" &
daemon=$!
tries=0
while ! grep -q '^listening on ' "$out/denoised.out"; do
    kill -0 "$daemon" 2>/dev/null || { cat "$out/denoised.log" >&2; fail "the daemon ended"; }
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || fail "the daemon did not say within 30 s that it listens"
    sleep 0.2
done
cat "$out/denoised.out"
DENOISE_SERVER=$(sed -n 's/^listening on //p' "$out/denoised.out")
export DENOISE_SERVER

step "train: preset cpu, $iterations steps"
denoise train --name demo --pairs "$pairs" --hold-out 0.2 --preset cpu \
    --set iterations="$iterations" --seed 1 --wait
trained=$(date +%s)

step "evaluate on the held out scenes"
denoise evaluate --model demo --pairs "$pairs" --held-out 0.2 --wait >"$out/scores.txt"
cat "$out/scores.txt"

step "denoise, and draw noisy | denoised | clean"
tab=$(printf '\t')
last="" number=0
while IFS=$tab read -r id noisy clean; do
    if [ "$clean" = "$last" ] || [ "$number" -ge 3 ]; then continue; fi
    last=$clean
    number=$((number + 1))
    denoise submit "$noisy" --model demo -o "$out/denoised/$number" >"$out/path.txt"
    read -r result <"$out/path.txt"
    echo "$id: $result"
    denoise preview "$noisy" "$result" "$clean" --contrast "$contrast" --zoom "$zoom" \
        -o "$out/compare$number.png"
done <"$out/held.txt"

ended=$(date +%s)
step "done in $((ended - began)) s (training $((trained - began)) s); all of it is in $out"
