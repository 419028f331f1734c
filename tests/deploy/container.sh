#!/bin/sh
# deploy/Containerfile without a container engine: its instructions are carried out, one after
# the other, in systems of debootstrap (the image debian:12-slim is taken for a minimal
# Debian), then the entry point serves as the image's user with a read-only file system, and
# the health check is asked.  What only an engine does (layers, networks, the profile of system
# calls) is not seen by this.
#   tests/deploy/container.sh [BUILD]      needs root, debootstrap and a mirror of Debian
set -eu
cd "$(dirname "$0")/../.."
. tests/deploy/root.sh
root_begin "the container file" "${1:-build}"
fail() { echo "FAILED container: $*"; exit 1; }

mkdir "$work/stages"
stage="" folder=/ user=0:0 health="" entry="" steps=0
: >"$work/env"

# The tracked files are the context of the build.
mkdir "$work/context"
git ls-files | while read -r f; do [ ! -f "$f" ] || echo "$f"; done |
    tar -cf - -T - | tar -C "$work/context" -xf -

# in_stage COMMAND: by the stage's user in its folder, with what ENV said.
in_stage() {
    # shellcheck disable=SC2046  # one word per variable is meant
    root_enter "$stage" -- env $(cat "$work/env") setpriv --reuid "${user%:*}" \
        --regid "${user#*:}" --clear-groups sh -c "cd $folder && $1" </dev/null
}

copy() {
    from=$work/context
    case $1 in --from=*) from=$work/stages/${1#--from=}; shift ;; esac
    for last; do :; done
    case $last in /*) to=$stage$last ;; *) to=$stage$folder/$last ;; esac
    while [ $# -gt 1 ]; do
        # A folder's content, or a file into a folder.
        mkdir -p "$to"
        if [ -d "$from/$1" ]; then cp -a "$from/$1/." "$to"; else cp -a "$from/$1" "$to"; fi
        shift
    done
}

# ["a", "b"]: the words, quoted for a shell.
words() { echo "$*" | sed "s/^\[//; s/\]\$//; s/\", *\"/' '/g; s/\"/'/g"; }

carry_out() {
    instruction=$1
    shift
    steps=$((steps + 1))
    case $instruction in
    FROM)
        [ "$1" = debian:12-slim ] || fail "the base image $1 cannot be stood in for"
        stage=$work/stages/${3:-last} folder=/ user=0:0
        : >"$work/env"
        root_new "$stage"
        ;;
    WORKDIR) folder=$1; mkdir -p "$stage$1" ;;
    COPY) copy "$@" ;;
    RUN) in_stage "$*" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; fail "RUN $*"; } ;;
    USER) user=$1 ;;
    ENV) echo "$1" >>"$work/env" ;;
    HEALTHCHECK) health=$(words "$(echo "$*" | sed 's/.*CMD //')") ;;
    ENTRYPOINT) entry=$(words "$*") ;;
    VOLUME | STOPSIGNAL) ;;
    *) fail "the instruction $instruction is unknown here" ;;
    esac
}

sed -e '/^#/d' -e '/^$/d' deploy/Containerfile | sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' >"$work/file"
while read -r line; do
    echo "container: $line"
    set -f
    # shellcheck disable=SC2086
    case $line in
    RUN*) carry_out RUN "${line#RUN }" ;;
    *) carry_out $line ;;
    esac
    set +f
done <"$work/file"

case $user in 0:* | root* | "") fail "the image runs as root" ;; esac
state=$(sed -n 's/^DENOISED_STATE=//p' "$work/env")
[ "$(in_stage "stat -c %u $state")" = "${user%:*}" ] || fail "$state belongs to another"
cat >"$stage/usr/local/bin/try" <<END
set -eu
cd /tmp
$entry >/tmp/out 2>/tmp/log &
daemon=\$!
for _ in \$(seq 150); do
    $health >/dev/null 2>&1 && break
    kill -0 \$daemon || { cat /tmp/log; exit 1; }
    sleep 0.2
done
$health
denoise simulate data --scenes 1 --frames 1 --size 64x64 >/dev/null
denoise submit data/scene01/frame_01.tif --method median -o results
denoise verify data/scene01/frame_01.tif results/frame_01_denoised.tif
kill \$daemon
wait \$daemon
if $health >/dev/null 2>&1; then echo 'healthy when stopped'; exit 1; fi
END
# As compose does it: read-only but for the state and /tmp.
# shellcheck disable=SC2046,SC2016
root_enter "$stage" -- unshare --mount --propagation private sh -c '
    set -e
    mount --bind "$1" "$1"
    mount -o remount,bind,ro /
    mount -t tmpfs -o mode=1777 none /tmp
    shift
    exec "$@"' sh "$state" env $(cat "$work/env") setpriv --reuid "${user%:*}" \
    --regid "${user#*:}" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
    sh /usr/local/bin/try >"$work/log" 2>&1 || { cat "$work/log"; fail "the image does not serve"; }
echo "ok     container: $steps instructions, then healthy, an image denoised, and stopped"
echo "1 passed, 0 failed, 0 skipped"
