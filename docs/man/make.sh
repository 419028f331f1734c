#!/bin/sh
# Prints a manual page: the prose of PAGE, and for each line @NAME@ what the programs of the
# folder BUILD say of themselves.
#   docs/man/make.sh BUILD VERSION PAGE
set -eu
build=$1 version=$2 page=$3

commands() { "$build/denoise" help --man; }

# Everything before the first empty line of the help.
usage() {
    "$build/denoised" --help | sed -n '/^$/q; s/\\/\\e/g; s/-/\\-/g; s/^usage: /       /; s/^       //p'
}

# A row of the help is two lines: "  --key  meaning" and "  range, default value".
settings() {
    "$build/denoised" --help | awk '
        function plain(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); return s }
        /^  --/ {
            key = substr($1, 3)
            sub(/^ *--[^ ]* */, "")
            meaning = $0
            getline
            sub(/^ */, "")
            print ".TP\n.B " plain(key)
            print plain(meaning) ".\n" plain(toupper(substr($0, 1, 1)) substr($0, 2)) "."
        }'
}

while IFS= read -r line; do
    case $line in
    @COMMANDS@) commands ;;
    @USAGE@) usage ;;
    @SETTINGS@) settings ;;
    *) printf '%s\n' "$line" | sed "s/@VERSION@/$version/" ;;
    esac
done <"$page"
