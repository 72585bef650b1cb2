#!/bin/sh
# Puts yagura-wrapper before the bootstrap of an OS-only function (provided.al2023: Go, Rust, C++), in its
# deployment zip: Lambda starts those without a wrapper.
set -eu

main() {
    if [ $# -ne 2 ] || [ ! -f "$1" ] || [ ! -x "$2" ]; then
        echo "Usage: packaging/lambda/wrap-bootstrap.sh FUNCTION.zip YAGURA-WRAPPER" >&2
        exit 2
    fi
    private=$(mktemp -d)
    trap 'rm -rf "$private"' EXIT
    zip=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
    unzip -q "$zip" bootstrap -d "$private" || {
        echo "wrap-bootstrap.sh: $1 has no bootstrap at its top" >&2
        exit 1
    }
    ! unzip -l "$zip" bootstrap.wrapped >/dev/null 2>&1 || {
        echo "wrap-bootstrap.sh: $1 is wrapped already" >&2
        exit 1
    }
    mv "$private/bootstrap" "$private/bootstrap.wrapped"
    cp "$2" "$private/bootstrap"
    chmod 755 "$private/bootstrap" "$private/bootstrap.wrapped"
    (cd "$private" && zip -q -X "$zip" bootstrap bootstrap.wrapped)
}

main "$@"
