#!/bin/sh
# denoised beside PyTorch and ONNX Runtime; `make bench-peers` runs it.
#
# BUILD         folder of the programs (build); the report is $BUILD/bench-peers.json
# THREADS       of every engine (2)
# REPETITIONS   of every piece of work (15)
#
# PyTorch is Debian's package python3-torch.  ONNX Runtime comes from npm into
# $BUILD/bench-npm, without its install script, which would fetch libraries for GPUs.  What
# is not there is left out with a sentence.
set -eu
here=$(dirname "$0")
build=${BUILD:-build}
threads=${THREADS:-2}
repetitions=${REPETITIONS:-15}
say() { echo "bench-peers: $*" >&2; }

[ -x "$build/peer_net" ] || { say "$build/peer_net is not built; run make bench-peers"; exit 1; }

# Debian's modules belong to Debian's interpreter, which need not be the first in PATH.
python=""
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import numpy, torch' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "skipped: there is no PyTorch (on Debian: apt-get install python3-torch)"
    exit 0
fi

modules="$build/bench-npm"
has_onnx() { [ -d "$modules/node_modules/onnxruntime-node" ]; }
if ! has_onnx && command -v npm >/dev/null 2>&1; then
    mkdir -p "$modules"
    cp "$here/package.json" "$modules"
    (cd "$modules" && npm install --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
        rm -rf "$modules/node_modules"
fi
if has_onnx && command -v node >/dev/null 2>&1; then
    set -- --modules "$modules"
else
    say "without ONNX Runtime: npm could not install onnxruntime-node"
    set --
fi
exec "$python" "$here/peers.py" --build "$build" --threads "$threads" \
    --repetitions "$repetitions" "$@"
