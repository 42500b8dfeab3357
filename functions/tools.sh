#!/bin/sh
# Fetches what builds functions in JavaScript, TypeScript, Python and C, in the versions
# that the templates name, into .cache/guest-tools: for the tests, which try every template.
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

# What pip installs names its interpreter by its whole path: it does not move with the folder.
by_pip() { # language, how large, what answers when it is there
    language=$1 size=$2
    shift 2
    folder="$tools/$language" wanted="$templates/$language/requirements.txt"
    if fetched "$folder" "$wanted" && "$folder/bin/$@" >/dev/null 2>&1; then
        return
    fi
    echo "fetching what builds $language ($size)" >&2
    rm -rf "$folder" && mkdir -p "$tools" && python3 -m venv "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" &&
        cp "$wanted" "$folder/fetched"
}

if ! command -v python3 >/dev/null 2>&1; then
    echo "missing: python3, so functions in Python and C are not tried; on Debian: apt-get install python3-venv" >&2
else
    by_pip python "50 MB" componentize-py --version
    # Not demanded: there is no wheel of it for every machine.
    by_pip c "100 MB" python -m ziglang version ||
        echo "missing: ziglang from PyPI, so functions in C are tried only where zig is" >&2
fi
