#!/bin/sh
# The files of the web page as rows of C: embed.sh FILE... >web_files.inc
# A row is {name, SHA-256, length, bytes}.
set -eu
number=0
for file in "$@"; do
    echo "static const char file_$number[] = {"
    od -An -v -td1 "$file" | sed 's/ *\(-*[0-9][0-9]*\)/\1,/g'
    echo "};"
    number=$((number + 1))
done
echo "static const struct web_file files[] = {"
number=0
for file in "$@"; do
    hash=$(sha256sum <"$file")
    echo "    {\"${file##*/}\", \"${hash%% *}\", sizeof file_$number, file_$number},"
    number=$((number + 1))
done
echo "};"
