#!/bin/sh
# build-zip.sh BIN FOLDER: yagura-storage with its libraries and loader as a zip for AWS Lambda
set -eu

fail() {
    echo "build-zip.sh: $1" >&2
    exit 1
}

# Prints the paths of all libraries the program loads, and of the loader itself.
libraries_of() {
    ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p'
}

write_bootstrap() {
    # shellcheck disable=SC2016  # expanded where it runs
    {
        echo '#!/bin/sh'
        echo 'here=${LAMBDA_TASK_ROOT:-$(dirname "$0")}'
        printf 'exec "$here/lib/%s" --library-path "$here/lib" "$here/yagura-storage" "${_HANDLER:-dead-letter}"\n' "$1"
    } >"$root/bootstrap"
    chmod 755 "$root/bootstrap"
}

build() {
    [ -x "$bin/yagura-storage" ] || fail "$bin/yagura-storage is missing: build it first"
    mkdir -p "$root/lib"
    cp "$bin/yagura-storage" "$root/yagura-storage"
    libraries_of "$bin/yagura-storage" | sort -u | while IFS= read -r path; do
        cp -L "$path" "$root/lib/"
    done
    loader=$(cd "$root/lib" && ls ld-linux*)
    write_bootstrap "$loader"
    SOURCE_DATE_EPOCH=0 python3 "$(dirname "$0")/../sbom.py" --name yagura-storage-lambda \
        --version "$("$bin/yagura-storage" --version | cut -d ' ' -f 2)" "$root/yagura-storage" >"$root/sbom.cdx.json"
    # The same bytes for the same programs.
    find "$root" -exec touch -h -d @0 {} +
    rm -f "$folder/yagura-storage-lambda.zip"
    (cd "$root" && find . -type f | LC_ALL=C sort | zip -q -X "$folder/yagura-storage-lambda.zip" -@)
    bytes=$(wc -c <"$folder/yagura-storage-lambda.zip")
    [ "$bytes" -lt 52428800 ] || fail "the zip has $bytes bytes; Lambda takes 50 MB"
    echo "$folder/yagura-storage-lambda.zip: $bytes bytes"
}

[ $# -eq 2 ] || fail "usage: build-zip.sh BIN FOLDER"
bin=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
build
