#!/bin/sh
# The web page in a real browser; prints TAP. YAGURA_BIN: folder of the programs.
set -eu

skip() {
    echo "ok - page # SKIP $1"
    exit 0
}

prepare() {
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    root=$(CDPATH='' cd -- "$here/../../.." && pwd)
    # shellcheck source=installer/dependencies.sh
    . "$root/installer/dependencies.sh"
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 ||
        packages_install nodejs npm >&2 || skip "Node.js and npm cannot be installed"
    command -v chromium >/dev/null 2>&1 || packages_install chromium >&2 ||
        skip "chromium cannot be installed"
    packages_install fonts-noto-cjk >&2 || echo "# no Japanese font: pictures show boxes"
    modules=$root/build/page-modules
    mkdir -p "$modules"
    if ! cmp -s "$here/package-lock.json" "$modules/package-lock.json" || [ ! -d "$modules/node_modules" ]; then
        cp "$here/package.json" "$here/package-lock.json" "$modules/"
        (cd "$modules" && npm ci --no-audit --no-fund --loglevel=error >&2) ||
            skip "npm cannot fetch playwright-core and axe-core"
    fi
}

main() {
    prepare
    YAGURA_BIN=${YAGURA_BIN:-$root/build/release-hardened/bin}
    export YAGURA_BIN
    PYTHONDONTWRITEBYTECODE=1 python3 "$here/fleet.py" "$modules" "${YAGURA_PAGE_PICTURES:-$root/build/page-pictures}"
}

main "$@"
