#!/bin/sh
# Denoises images on a denoised server with nothing but curl (7.76 or later) and a shell.
#   SERVER=http://HOST:PORT [TOKEN=...] denoise.sh MODEL FILE...
# Each result comes beside its image: cell.ome.tif becomes cell_denoised.ome.tif.  MODEL is NAME,
# NAME@VERSION or NAME@champion; method:median takes a filter instead.
set -eu
: "${SERVER:?set it to http://HOST:PORT}"
[ $# -ge 2 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }
model=$1
shift

# api PATH [OPTION]...: the answer.  The token goes by a pipe, where nobody else can see it;
# of a refusal, the reason is told.
api() {
    path=$1
    shift
    if ! answer=$(
        if [ -n "${TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$TOKEN"; fi |
            curl -sS --fail-with-body -K - "$@" "$SERVER$path"
    ); then
        reason=$(printf '%s' "$answer" | sed -n 's/.*"detail":"\(\([^"\\]\|\\.\)*\)".*/\1/p')
        echo "$(basename "$0"): ${reason:-no answer from $SERVER}" >&2
        exit 1
    fi
    printf '%s' "$answer"
}

for file in "$@"; do
    [ -f "$file" ] || { echo "$file: there is no such file" >&2; exit 1; }
    # 1. upload; the same bytes are stored once
    image=$(api /v1/images -F "file=@\"$file\"") || exit 1
    image=$(printf '%s' "$image" | sed 's/.*"id":"\([^"]*\)".*/\1/')
    # 2. a job
    case $model in
    method:*) with="\"method\":\"${model#method:}\"" ;;
    *) with="\"model\":\"$model\"" ;;
    esac
    job=$(api /v1/jobs -H 'Content-Type: application/json' \
        -d "{\"kind\":\"denoise\",\"image\":\"$image\",$with}") || exit 1
    job=$(printf '%s' "$job" | sed 's/.*"id":"\([^"]*\)".*/\1/')
    # 3. wait for it
    while
        state=$(api "/v1/jobs/$job") || exit 1
        state=$(printf '%s' "$state" | sed 's/.*"state":"\([^"]*\)".*/\1/')
        [ "$state" = queued ] || [ "$state" = running ]
    do
        sleep 0.5
    done
    [ "$state" = succeeded ] || { echo "$file: $state, see $SERVER/v1/jobs/$job" >&2; exit 1; }
    # 4. download: whole or not at all
    case ${file##*/} in
    *.[oO][mM][eE].*) ending=.${file#"${file%.*.*}."} ;;
    ?*.*) ending=.${file##*.} ;;
    *) ending= ;;
    esac
    result=${file%"$ending"}_denoised$ending
    (api "/v1/jobs/$job/result" -o "$result.part") || { rm -f "$result.part"; exit 1; }
    mv "$result.part" "$result"
    echo "$result"
done
