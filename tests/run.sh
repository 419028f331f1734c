#!/bin/sh
# Runs test programs and ends with a line of counts.
#   tests/run.sh BUILD PROGRAM...
# As many at a time as there are processors; those that measure come last and one by one.
# LANES=1 runs all of them so.
set -u

measure='http_slow http_speed http_streams large_stack load neighbour soak'

limit=900 # seconds for a program
[ "${DENOISED_TEST_FULL:-}" != 1 ] || limit=7200
# A test's own limit is there to end what hangs; a busy machine is no reason to fail.
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-3}"

# One program: its line, its output where it failed, and "passed failed skipped name" in
# the list of counts.
run_one() {
    name=${1#"$DENOISED_BUILD"/tests/}
    log=$(mktemp "$results/log.XXXXXX")
    start=$(date +%s)
    timeout "$limit" "$1" >"$log" 2>&1
    status=$?
    end=$(date +%s)
    skips=$(grep -c '^skipped: ' "$log")
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' "$log" | tail -n 1)
    set_checks=${checks:-"0 0 1"}
    n=${set_checks%% *}
    rest=${set_checks#* }
    f=$((${rest% *} + ${rest#* }))
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    {
        grep '^skipped: ' "$log" | sort -u
        if [ "$f" -ne 0 ]; then
            echo "FAILED $name (exit $status)"
            cat "$log"
        else
            echo "ok     $name: $n tests, $((end - start)) s"
        fi
    } >"$log.told"
    cat "$log.told"
    echo "$((n - f - skips)) $f $skips $name" >>"$results/counts"
    rm -f "$log" "$log.told"
}

if [ "$1" = --one ]; then
    run_one "$2"
    exit 0
fi

DENOISED_BUILD=$1
shift
results=$(mktemp -d)
export DENOISED_BUILD results
trap 'rm -rf "$results"' EXIT
: >"$results/counts"
lane() { # how many at a time, and which
    [ $# -eq 1 ] || printf '%s\n' "$@" | sed 1d | xargs -n 1 -P "$1" "$0" --one
}
beside='' alone=''
for program in "$@"; do
    case " $measure " in
    *" ${program##*/torture/test_} "*) alone="$alone $program" ;;
    *) beside="$program $beside" ;; # from the end: the long ones begin
    esac
done
# shellcheck disable=SC2086 # names of programs have no spaces
lane "${LANES:-$(nproc)}" $beside
# shellcheck disable=SC2086
lane 1 $alone

awk -v programs=$# '
    { passed += $1; failed += $2; skipped += $3; if ($2 > 0) bad = bad " " $4 }
    END {
        if (NR != programs) { print programs - NR " programs have no result"; failed++ }
        if (bad != "") print "failed programs:" bad
        print (passed > 0 ? passed : 0) " passed, " failed + 0 " failed, " skipped + 0 " skipped"
        exit failed > 0 || passed <= 0
    }' "$results/counts"
