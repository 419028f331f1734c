#!/bin/sh
# What a machine can check of the house rules; `make lint` runs it.
#   tests/lint.sh [FILE.c|FILE.h]...     only these files (default: all tracked C sources)
# Every finding is printed as file:line: what.  Exit status 1 when there was any.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
exec 2>&1

if [ $# -gt 0 ]; then
    printf '%s\n' "$@"
else
    git ls-files '*.c' '*.h'
fi >"$work/tracked"
# A file that was removed but not yet committed is still listed by git.
while read -r f; do [ -f "$f" ] && echo "$f"; done <"$work/tracked" >"$work/files"
grep '\.c$' "$work/files" >"$work/sources"
[ -s "$work/files" ] || { echo "lint: no C sources found"; exit 1; }

# check TITLE COMMAND...: the command prints findings and fails when there are any.
check() {
    title=$1
    shift
    echo "lint: $title"
    "$@" || { failed=1; echo "lint: FAILED: $title"; }
}

# sources_in FOLDER...: the files to check that lie in these folders.
sources_in() {
    for folder in "$@"; do grep "^$folder/" "$work/files"; done
}

# none PATTERN WHAT: prints every line of the files on stdin that matches the extended
# regular expression; fails when there is one.
none() {
    found=$(xargs -r grep -HnE -e "$1" | sed "s|\$|    <- $2|")
    [ -z "$found" ] && return 0
    printf '%s\n' "$found"
    return 1
}

# ---- tools --------------------------------------------------------------------------------

format() {
    xargs -r clang-format --dry-run -Werror <"$work/files"
}

# The Makefile knows which folders each layer may include from: one line per layer,
# "folder flags...".
layer_flags() {
    make --no-print-directory -s --eval='print-flags: ; $(foreach l,$(LAYERS),$(info \
        $(DIR_$(l)) $(addprefix -iquote ,$(IN_$(l))) $(call pkgflags,$(PKG_$(l)))))@:' \
        print-flags
    make --no-print-directory -s --eval='print-std: ; $(info std $(STD))@:' print-std
}

flags_of_folder() {
    awk -v folder="$1" '$1 == folder { $1 = ""; print; exit }' "$work/flags"
}

# Compiler flags of one source, as the Makefile gives them.
flags_of() {
    case $1 in
    tests/unit/server/*) echo "-iquote tests $(flags_of_folder server)" ;;
    tests/unit/*)
        layer=$(echo "$1" | cut -d/ -f3)
        echo "-iquote tests $(flags_of_folder "core/$layer") $(flags_of_folder "server/$layer")" ;;
    tests/grad/*) echo "-iquote tests -DDEN_REAL_DOUBLE $(flags_of_folder core/nn)" ;;
    tests/backend/*) echo "-iquote tests $(flags_of_folder core/nn)" ;;
    tests/torture/*) echo "-iquote tests -iquote tests/torture -iquote tests/http $(flags_of_folder api)" ;;
    tests/*) echo "-iquote tests -iquote $(dirname "$1") $(flags_of_folder api)" ;;
    server/main.c) flags_of_folder api ;;
    *) flags_of_folder "$(dirname "$1")" ;;
    esac
}

tidy() {
    layer_flags >"$work/flags" || return 1
    while read -r f; do
        echo "$f $(flags_of_folder std) $(flags_of "$f")"
    done <"$work/sources" |
        xargs -r -P "$jobs" -L 1 sh -c 'f=$1; shift; clang-tidy --quiet "$f" -- "$@" 2>&1 |
            grep -v "warnings\{0,1\} generated" >"'"$work"'/tidy.$$"; cat "'"$work"'/tidy.$$"' tidy \
        >"$work/tidy"
    cat "$work/tidy"
    ! grep -qE '(error|warning):' "$work/tidy"
}

# cppcheck has no -iquote: it sees all layers at once; the compiler keeps them apart.
# Check's macros are given in words that cppcheck can parse.  In tests it takes every loop
# that fills an array for one that might not run; there clang-tidy does that check better.
run_cppcheck() {
    folders=$(git ls-files '*.h' | xargs -n 1 dirname | sort -u | sed 's/^/-I/')
    # shellcheck disable=SC2086  # one word per folder is meant
    cppcheck --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --std=c11 --quiet -j "$jobs" --template=gcc -D_GNU_SOURCE '-DDEN_VERSION="x"' \
        '-DSTART_TEST(name)=static void name(int _i)' -DEND_TEST= \
        --suppress='uninitvar:tests/*' $folders --file-list="$work/sources"
}

# ---- layers -------------------------------------------------------------------------------

include_of() { # include_of HEADER...: a pattern for an #include of any of these
    names=$(printf '%s\n' "$@" | sed 's/\./\\./g' | paste -sd'|')
    printf '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"](%s)[>"]' "$names"
}

layers() {
    bad=0
    none '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*/' \
        'include by name alone, without a path' <"$work/files" || bad=1
    sources_in core | none "$(include_of jansson.h microhttpd.h sqlite3.h)" \
        'core knows no JSON, HTTP and SQL' || bad=1
    sources_in server/jobs | none "$(include_of jansson.h microhttpd.h)" \
        'server/jobs knows no JSON and HTTP' || bad=1
    sources_in server/http | none "$(include_of sqlite3.h)" \
        'server/http knows no SQL' || bad=1
    jobs_headers=$(git ls-files 'server/jobs/*.h' | xargs -r -n 1 basename)
    # shellcheck disable=SC2086  # one word per header is meant
    [ -z "$jobs_headers" ] || sources_in server/http | none "$(include_of $jobs_headers)" \
        'server/http knows no jobs' || bad=1
    return $bad
}

# ---- house rules --------------------------------------------------------------------------

calls() { # calls NAME...: a pattern for a call of any of these (clang-format joins name and "(")
    printf '(^|[^[:alnum:]_.>])(%s)\(' "$(printf '%s\n' "$@" | paste -sd'|')"
}

rules() {
    bad=0
    grep -v '^core/base/str\.c$' "$work/files" |
        none "$(calls atoi atol atoll atof strtol strtoul strtoll strtoull strtod strtof \
            strtold strtod_l strtol_l)" 'parse with base/str' || bad=1
    none "$(calls strcpy strcat strncpy strncat stpcpy sprintf vsprintf sscanf gets)" \
        'copy and format with base/str' <"$work/files" || bad=1
    none "$(calls rand srand random srandom drand48 rand_r)" \
        'draw with base/rng' <"$work/files" || bad=1
    none "$(calls localtime localtime_r gmtime ctime asctime)" \
        'format times with base/clock' <"$work/files" || bad=1
    none "$(calls system popen alloca)" 'not used here' <"$work/files" || bad=1
    sources_in core server api | grep -v '^core/base/mem\.c$' |
        none "$(calls malloc calloc realloc aligned_alloc posix_memalign strdup strndup \
            asprintf)" 'allocate with base/mem' || bad=1
    none '(^|[^[:alnum:]_])(TODO|FIXME|XXX)($|[^[:alnum:]_])' 'finish it or leave it out' <"$work/files" || bad=1
    LC_ALL=C none '[^ -~[:space:]]' 'write ASCII in sources' <"$work/files" || bad=1
    echo Makefile | none 'O[f]ast|-[f]fast-math' 'it breaks the check for NaN' || bad=1
    return $bad
}

lengths() {
    bad=0
    while read -r f; do
        n=$(wc -l <"$f")
        if [ "$n" -gt 800 ]; then
            echo "$f:$n: a file may have 800 lines: split it by idea"
            bad=1
        elif [ "$n" -gt 150 ] && [ "${f%.h}" != "$f" ]; then
            echo "$f:$n: warning: a header should have at most 150 lines"
        fi
    done <"$work/files"
    return $bad
}

check "formatting (clang-format)" format
check "layers" layers
check "house rules" rules
check "lengths of files" lengths
check "cppcheck" run_cppcheck
check "clang-tidy (functions of at most 80 lines among others)" tidy
[ $failed -eq 0 ] && echo "lint: no findings"
exit $failed
