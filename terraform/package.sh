#!/bin/sh
# Packs the provider as registries expect it: package.sh PROGRAM VERSION FOLDER. Signing the
# checksums is left to whoever releases.
set -eu

program=$1 version=$2 folder=$3
name=terraform-provider-eddyline
case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) echo "package.sh: no package for $(uname -s)" >&2; exit 1 ;;
esac
case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) echo "package.sh: no package for $(uname -m)" >&2; exit 1 ;;
esac

mkdir -p "$folder"
inside=${name}_v$version
archive=${name}_${version}_${os}_$arch.zip
manifest=${name}_${version}_manifest.json
cp "$program" "$folder/$inside"
chmod 755 "$folder/$inside"
printf '{"version":1,"metadata":{"protocol_versions":["6.0"]}}\n' >"$folder/$manifest"
cd "$folder"
rm -f "$archive"
if command -v zip >/dev/null 2>&1; then
    zip -q "$archive" "$inside"
else
    python3 - "$archive" "$inside" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    archive.write(sys.argv[2])
END
fi
rm -f "$inside"
if command -v sha256sum >/dev/null 2>&1; then sum="sha256sum"; else sum="shasum -a 256"; fi
$sum "$archive" "$manifest" >"${name}_${version}_SHA256SUMS"
