#!/bin/sh
# Fetches what builds functions in JavaScript, TypeScript and Python, in the versions that
# the templates name, into .cache/guest-tools: for the tests, which try every template.
# What is there already is not fetched again. A missing npm or python3 is one sentence.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
tools="$root/.cache/guest-tools"
templates="$root/functions/templates"

fetched() { # folder, manifest: whether that manifest's tools are in the folder
    cmp -s "$2" "$1/fetched"
}

if ! command -v npm >/dev/null 2>&1; then
    echo "missing: npm, so functions in JavaScript and TypeScript are not tried; on Debian: apt-get install nodejs npm" >&2
elif ! fetched "$tools/js" "$templates/ts/package.json"; then
    echo "fetching what builds JavaScript and TypeScript (50 MB)" >&2
    rm -rf "$tools/js" && mkdir -p "$tools/js"
    sed 's/{{name}}/tools/' "$templates/ts/package.json" >"$tools/js/package.json"
    (cd "$tools/js" && npm install --no-audit --no-fund --loglevel=error)
    cp "$templates/ts/package.json" "$tools/js/fetched"
fi

if ! command -v python3 >/dev/null 2>&1; then
    echo "missing: python3, so functions in Python are not tried; on Debian: apt-get install python3-venv" >&2
# What pip installs names its interpreter by its whole path: it does not move with the folder.
elif ! fetched "$tools/python" "$templates/python/requirements.txt" ||
    ! "$tools/python/bin/componentize-py" --version >/dev/null 2>&1; then
    echo "fetching what builds Python (50 MB)" >&2
    rm -rf "$tools/python" && mkdir -p "$tools"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check \
        -r "$templates/python/requirements.txt"
    cp "$templates/python/requirements.txt" "$tools/python/fetched"
fi
