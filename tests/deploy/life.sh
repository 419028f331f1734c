#!/bin/sh
# Runs in a fresh Debian as root: the packages of /packages are installed, used, upgraded,
# removed and purged.  Ends with a count of what held; at the first thing that does not, it
# stops.
#   life.sh VERSION
set -eu
version=$1
state=/var/lib/denoised backups=/var/backups/denoised conf=/etc/denoised/denoised.conf
url=http://127.0.0.1:18080
architecture=$(dpkg --print-architecture)
count=0
daemon=""
trap '[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || true' EXIT

ok() { count=$((count + 1)); echo "ok     packages: $*"; }
fail() { echo "packages: $*" >&2; exit 1; }
must() { what=$1; shift; "$@" || fail "$what"; ok "$what"; }
quiet() { "$@" >/tmp/said 2>&1 || { tail -n 30 /tmp/said >&2; fail "failed: $*"; }; }
not() { ! "$@"; }
apt() { quiet apt-get -q -y --no-install-recommends "$@"; }
package() { echo "/packages/$1_$version-1_$architecture.deb"; }

# All that a package may leave: names, owners, modes and content outside of logs and caches.
snapshot() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run -o -path /life \
        -o -path /packages -o -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/apt \
        -o -path '/etc/*-' -o -name '*.pyc' \) -prune -o -printf '%p %M %U %G\n' | sort
    find /etc -xdev -type f ! -name '*-' ! -name 'ld.so.cache' -exec sha256sum {} + | sort
}

# As the unit would: its user without privileges, the file system read-only but for state and
# backups, no /tmp of others, and of /proc only processes of its own.
serve() {
    : >/tmp/serve.out
    # shellcheck disable=SC2016  # to be expanded in there
    unshare --mount --ipc --uts --propagation private sh -c '
        set -e
        for folder in '"$state $backups"'; do mount --bind "$folder" "$folder"; done
        mount -o remount,bind,ro /
        mount -t tmpfs -o mode=1777 none /var/tmp
        mount -t proc -o hidepid=invisible,subset=pid proc /proc
        mount -t tmpfs -o mode=1777 none /tmp
        umask 077
        ulimit -c 0
        exec setpriv --reuid denoised --regid denoised --clear-groups --no-new-privs \
            --inh-caps=-all --bounding-set=-all \
            /usr/bin/denoised --config '"$conf"' --state '"$state"' --listen 127.0.0.1:18080' \
        >/tmp/serve.out 2>>/tmp/serve.log &
    daemon=$!
    for _ in $(seq 150); do
        grep -q '^listening on ' /tmp/serve.out && return 0
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.2
    done
    cat /tmp/serve.log >&2
    fail "the daemon does not serve"
}

stop() {
    kill "$daemon"
    code=0
    wait "$daemon" || code=$?
    daemon=""
    [ "$code" -eq 0 ] || fail "the daemon ended with $code"
}

id() { sed 's/.*"id":"\([^"]*\)".*/\1/'; }
add() { curl -sSf -T "$1" -X POST "$url/v1/images?name=$(basename "$1")" | id; }
images() { curl -sSf "$url/v1/images" | grep -o 'img_[0-9A-Z]*' | sort -u; }
job_state() { curl -sSf "$url/v1/jobs/$1" | sed 's/.*"state":"\([^"]*\)".*/\1/'; }

# denoise_one IMAGE-ID RESULT: by curl alone.  RESULT.anonymous: without the id of the job,
# which its record holds.
denoise_one() {
    job=$(curl -sSf -H 'Content-Type: application/json' \
        -d "{\"kind\":\"denoise\",\"image\":\"$1\",\"model\":\"life\"}" "$url/v1/jobs" | id)
    for _ in $(seq 300); do
        case $(job_state "$job") in
        succeeded)
            curl -sSf -o "$2" "$url/v1/jobs/$job/result"
            LC_ALL=C sed "s/$job/job/g" "$2" >"$2.anonymous"
            return 0
            ;;
        failed | cancelled) break ;;
        esac
        sleep 0.2
    done
    curl -sS "$url/v1/jobs/$job" >&2
    return 1
}

# ---- what is there before ----

quiet apt-get -q update
apt install curl util-linux init-system-helpers
apt satisfy "$(dpkg-deb -f "$(package denoised)" Depends)" "$(dpkg-deb -f "$(package denoise)" Depends)"
snapshot >/tmp/before
cp /etc/passwd /etc/group /tmp

# ---- install ----

must "install with their dependencies" quiet dpkg --force-confold -i "$(package denoised)" "$(package denoise)"
[ "$(denoised --version)" = "denoised $version" ] || fail "denoised is $(denoised --version)"
[ "$(denoise --version)" = "denoise $version" ] || fail "denoise is $(denoise --version)"
ok "programs say their version, $version"
for file in man/man1/denoise.1.gz man/man5/denoised.conf.5.gz man/man8/denoised.8.gz \
    bash-completion/completions/denoise doc/denoised/deploy.md; do
    [ -s "/usr/share/$file" ] || fail "$file is not there"
done
ok "manual pages, completion and documents are there"
must "settings are without fault" quiet denoised config check --config $conf
must "settings are those of the table" \
    sh -c "denoised config example | cmp - $conf"
quiet systemd-analyze --man=no verify /lib/systemd/system/denoised.service
[ ! -s /tmp/said ] || fail "systemd-analyze verify: $(cat /tmp/said)"
ok "systemd-analyze verify says nothing"
exposure=$(systemd-analyze security --offline=true /lib/systemd/system/denoised.service |
    sed -n 's/.*Overall exposure level for denoised.service: \([0-9.]*\) .*/\1/p')
must "systemd-analyze security says $exposure, at most 2.0" \
    sh -c "[ -n '$exposure' ] && [ \"\$(printf '%s\n2.0\n' '$exposure' | sort -n | tail -n 1)\" = 2.0 ]"
must "the service starts with the system" [ -L /etc/systemd/system/multi-user.target.wants/denoised.service ]
[ "$(stat -c '%U %G %a' $state $backups | sort -u)" = "denoised denoised 700" ] ||
    fail "state and backups: $(stat -c '%U %G %a' $state $backups)"
ok "state and backups belong to its user alone"

# ---- use ----

serve
must "it serves as its user" [ "$(stat -c %U "/proc/$daemon")" = denoised ]
quiet denoise simulate /tmp/data --scenes 2 --frames 1 --size 128x128 --seed 1
noisy=/tmp/data/scene01/frame_01.tif
quiet denoise --server $url train --name life --pairs /tmp/data/pairs.csv --set iterations=5 --wait
image=$(add "$noisy")
must "an image is denoised through curl" denoise_one "$image" /tmp/first.tif
must "only its pixels changed" quiet denoise verify "$noisy" /tmp/first.tif
images >/tmp/ids

# ---- upgrade over itself, with a changed conf ----

echo "log_level = debug" >>$conf
cp $conf /tmp/conf
must "the same version again" quiet dpkg --force-confold -i "$(package denoised)"
must "settings are kept" cmp -s $conf /tmp/conf
stop
# A next version, which has another opinion about the settings.
dpkg-deb -R "$(package denoised)" /tmp/next
sed -i 's/^Version: .*/&.1/' /tmp/next/DEBIAN/control
echo "# new in this version" >>"/tmp/next$conf"
sed -i "s|^[0-9a-f]*  etc/denoised/denoised.conf|$(md5sum <"/tmp/next$conf" | cut -c1-32)  etc/denoised/denoised.conf|" \
    /tmp/next/DEBIAN/md5sums
quiet dpkg-deb --root-owner-group -b /tmp/next /tmp/next.deb
must "the next version" quiet dpkg --force-confold -i /tmp/next.deb
must "its version is known" sh -c "dpkg-query -W -f '\${Version}' denoised | grep -q -- '-1.1\$'"
must "changed settings are kept again" cmp -s $conf /tmp/conf
must "the new ones lie beside them" [ -f $conf.dpkg-dist ]
serve
images >/tmp/ids2
must "all images are there after the upgrade" cmp -s /tmp/ids /tmp/ids2
must "an image is denoised again" denoise_one "$image" /tmp/second.tif
must "to the same bytes" cmp -s /tmp/first.tif.anonymous /tmp/second.tif.anonymous

# ---- backup and restore ----

must "a backup while it serves" quiet denoised backup $backups/one --state $state
denoise simulate /tmp/more --scenes 1 --frames 1 --size 64x64 --seed 2 >/dev/null
late=$(add /tmp/more/scene01/frame_01.tif)
stop
mv $state /tmp/old-state
cp -a $backups/one $state
chown -R denoised:denoised $state
chmod 700 $state
must "the copy is whole" quiet setpriv --reuid denoised --regid denoised --clear-groups \
    denoised check --state $state
serve
images >/tmp/ids2
must "the restored server has the ids of the backup's moment" cmp -s /tmp/ids /tmp/ids2
must "and nothing later" not grep -q "$late" /tmp/ids2
must "the restored model denoises" denoise_one "$image" /tmp/third.tif
must "to the same bytes, too" cmp -s /tmp/first.tif.anonymous /tmp/third.tif.anonymous
stop
rm -rf /tmp/old-state

# ---- remove and purge ----

must "remove" apt remove denoised denoise
must "state and settings stay" [ -f $conf -a -d $state/blobs ]
must "programs and unit do not" not ls /usr/bin/denoised /usr/bin/denoise \
    /lib/systemd/system/denoised.service 2>/dev/null
must "purge with a backup left" apt purge denoised denoise
must "the backup stays" [ -d $backups/one ]
must "and so does its owner" quiet getent passwd denoised
must "state and settings go" not ls -d $state /etc/denoised 2>/dev/null
rm -rf $backups/one
must "install once more" quiet dpkg --force-confold -i "$(package denoised)"
must "purge without one" apt purge denoised
snapshot >/tmp/after
diff /tmp/before /tmp/after >/tmp/left || { cat /tmp/left >&2; fail "something is left"; }
ok "nothing is left: $(wc -l </tmp/before) files and folders as before"
must "no user is left" cmp -s /etc/passwd /tmp/passwd
must "no group is left" cmp -s /etc/group /tmp/group
echo "$count passed, 0 failed, 0 skipped"
