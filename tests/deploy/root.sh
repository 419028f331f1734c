# shellcheck shell=sh
# Throw-away Debian systems for tests; read by other scripts with `.`, needs root.
#
# A system is unpacked from a tar without device files, and entered in namespaces of its own
# for mounts and processes: whichever way a command ends, the kernel unmounts and ends all
# that was in it.  /dev is a tmpfs with bind mounts of the harmless devices.
#
# DENOISED_DEB_CACHE   folder of the tar, made once by debootstrap (BUILD/deb-cache)
# ROOT_SUITE           release of Debian (bookworm)
# ROOT_MIRROR          where it comes from

ROOT_SUITE=${ROOT_SUITE:-bookworm}
ROOT_MIRROR=${ROOT_MIRROR:-http://deb.debian.org/debian}

# What is missing for any of this, in words; nothing when all is there.
root_missing() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "it needs root"
    elif ! command -v debootstrap >/dev/null 2>&1; then
        echo "there is no debootstrap"
    elif ! unshare --mount --pid --fork true 2>/dev/null; then
        echo "namespaces cannot be made here"
    fi
}

# root_base: makes the tar of a minimal system if there is none; 1 when no mirror answers.
root_base() {
    mkdir -p "$ROOT_CACHE"
    [ ! -s "$ROOT_CACHE/$ROOT_SUITE.tar" ] || return 0
    rm -rf "$ROOT_CACHE/$ROOT_SUITE.part"
    mkdir -p "$ROOT_CACHE/$ROOT_SUITE.part/dev"
    # The devices that debootstrap makes go into a tmpfs, which ends with the namespace.
    # shellcheck disable=SC2016  # to be expanded in there
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        set -eu
        mount -t tmpfs none "$1/dev"
        debootstrap --variant=minbase "$2" "$1" "$3"
        tar -C "$1" --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* \
            --exclude=./var/cache/apt/archives/*.deb -cf "$4" .
    ' root "$ROOT_CACHE/$ROOT_SUITE.part" "$ROOT_SUITE" "$ROOT_MIRROR" \
        "$ROOT_CACHE/$ROOT_SUITE.new" >"$ROOT_CACHE/debootstrap.log" 2>&1 || return 1
    mv "$ROOT_CACHE/$ROOT_SUITE.new" "$ROOT_CACHE/$ROOT_SUITE.tar"
    rm -rf "$ROOT_CACHE/$ROOT_SUITE.part"
}

# root_begin WHAT BUILD: the tar is there, and $work is an empty folder until the script ends;
# or it ends here, with a line that WHAT is skipped.
root_begin() {
    mkdir -p "$2"
    ROOT_CACHE=${DENOISED_DEB_CACHE:-$(cd "$2" && pwd)/deb-cache}
    missing=$(root_missing)
    [ -n "$missing" ] || root_base ||
        missing="debootstrap finds no mirror; $ROOT_CACHE/debootstrap.log says more"
    [ -z "$missing" ] || { echo "skipped: $1 ($missing)"; exit 0; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
}

# root_new DIR: unpacks a new system into DIR.
root_new() {
    mkdir -p "$1"
    tar -C "$1" -xf "$ROOT_CACHE/$ROOT_SUITE.tar"
    # Nothing starts by itself in there.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$1/etc/resolv.conf"
}

# root_enter DIR [SOURCE:TARGET]... -- COMMAND...: runs it as root of the system; SOURCE is
# seen there as TARGET, read-only.
root_enter() {
    # shellcheck disable=SC2016  # to be expanded in there
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        set -eu
        root=$1
        shift
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount -o remount,bind,ro "$root/sys"
        mount -t tmpfs -o mode=755 none "$root/dev"
        for device in null zero full random urandom tty; do
            : >"$root/dev/$device"
            mount --bind "/dev/$device" "$root/dev/$device"
        done
        mkdir "$root/dev/shm" "$root/dev/pts"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
        ln -s pts/ptmx "$root/dev/ptmx"
        mount -t tmpfs -o mode=1777 none "$root/dev/shm"
        ln -s /proc/self/fd "$root/dev/fd"
        while [ "$1" != -- ]; do
            target=$root${1#*:}
            if [ -d "${1%%:*}" ]; then mkdir -p "$target"; else : >>"$target"; fi
            mount --bind "${1%%:*}" "$target"
            mount -o remount,bind,ro "$target"
            shift
        done
        shift
        exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    ' root "$@"
}
