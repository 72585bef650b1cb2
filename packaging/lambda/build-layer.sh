#!/bin/sh
# Builds the Lambda layer of application protection: one zip for the architecture of this machine.
set -eu
export LC_ALL=C

usage() {
    cat <<'USAGE'
Usage: packaging/lambda/build-layer.sh [--output FOLDER] [--version VERSION] [--jobs N]
                                       [--built TREE] [--rules FOLDER]

Writes yagura-application-layer-VERSION-ARCH.zip (x86_64 or arm64: of this machine).

  --output FOLDER  where to (default: build/packages)
  --built TREE     programs from a release-hardened tree; otherwise they are compiled
  --rules FOLDER   a rule set in SecLang (default: /usr/share/modsecurity-crs)

The same commit gives the same bytes on the same system.
USAGE
}

# Libraries that libcurl loads for what the reporter never does (RTMP, SFTP, LDAP, Kerberos, cookies, names of hosts
# outside ASCII), by the beginning of their names. Stand-ins with the same symbols take their place: with all they need in turn,
# they would be half of the layer.
UNUSED='librtmp libssh2 libldap liblber libgssapi_krb5 libpsl libidn2'

options() {
    OUTPUT=$ROOT/build/packages VERSION='' JOBS='' BUILT='' RULES=/usr/share/modsecurity-crs
    while [ $# -gt 0 ]; do
        case $1 in
        --help) usage && exit 0 ;;
        --output | --version | --jobs | --built | --rules)
            [ $# -gt 1 ] || { usage >&2 && exit 2; }
            case $1 in
            --output) OUTPUT=$2 ;;
            --version) VERSION=$2 ;;
            --jobs) JOBS=$2 ;;
            --built) BUILT=$2 ;;
            --rules) RULES=$2 ;;
            esac
            shift 2
            ;;
        *) usage >&2 && exit 2 ;;
        esac
    done
    [ -n "$VERSION" ] || VERSION=$(project_version)
    [ -d "$RULES" ] || fail "$RULES is not a folder of rules; install modsecurity-crs or name one with --rules"
    case $(uname -m) in
    x86_64) ARCHITECTURE=x86_64 ;;
    aarch64) ARCHITECTURE=arm64 ;;
    *) fail "Lambda has no $(uname -m)" ;;
    esac
}

programs() {
    if [ -n "$BUILT" ]; then
        BUILT=$(absolute "$BUILT")
        check_built_tree "$BUILT" "$VERSION"
    else
        BUILT=$PRIVATE/built
        cmake -S "$ROOT" -B "$BUILT" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DYAGURA_TESTS=OFF \
            -DCMAKE_INSTALL_PREFIX=/usr "-DYAGURA_VERSION=$VERSION" >"$PRIVATE/log"
        cmake --build "$BUILT" -j "${JOBS:-$(nproc)}" --target yagura-application yagura-wrapper \
            yagura-application-reporter yagura-rules-compiler >>"$PRIVATE/log"
    fi
    install -D -s -m 755 "$BUILT/bin/yagura-application" "$LAYER/extensions/yagura-application"
    install -D -s -m 755 "$BUILT/bin/yagura-wrapper" "$LAYER/yagura-wrapper"
    install -D -s -m 755 "$BUILT/bin/yagura-application-reporter" "$LAYER/yagura/bin/yagura-application-reporter"
}

is_unused() { # LIBRARY
    for beginning in $UNUSED; do
        case $1 in "$beginning"*) return 0 ;; esac
    done
    return 1
}

needed_by() { # FILE
    readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# copy_needed FILE: what it loads, and what that loads, but for what a stand-in replaces.
copy_needed() {
    for library in $(needed_by "$1"); do
        [ ! -e "$LAYER/yagura/lib/$library" ] || continue
        path=$(awk -v name="$library" '$1 == name && $2 == "=>" { print $3; exit }' "$PRIVATE/ldd")
        case $library in
        ld-linux*) continue ;; # the loader itself
        esac
        [ -n "$path" ] || fail "$library was not found on this machine"
        if is_unused "$library"; then
            stand_in "$library" "$path"
            continue
        fi
        install -m 644 "$(readlink -f "$path")" "$LAYER/yagura/lib/$library"
        copy_needed "$path"
    done
}

# stand_in NAME PATH: a library of that name with the symbols that libcurl wants of it. Every function says 0
# and does nothing; none is called for HTTPS but libssh2_init, for which 0 is success.
stand_in() {
    curl=$(awk '$1 ~ /^libcurl/ { print $3; exit }' "$PRIVATE/ldd")
    nm -D --defined-only "$2" | awk '{ sub(/@.*/, "", $3); print $3, $2 }' | sort -u >"$PRIVATE/defined"
    # Symbol, version ("YAGURA" for none), kind.
    nm -D --undefined-only "$curl" | awk '{ split($2, part, "@"); print part[1], part[2] ? part[2] : "YAGURA" }' |
        sort -u | join - "$PRIVATE/defined" >"$PRIVATE/wanted"
    awk '$3 ~ /^[TWi]$/ { print "int " $1 "(void); int " $1 "(void) { return 0; }" }
         $3 !~ /^[TWi]$/ { print "char " $1 "[64];" }' "$PRIVATE/wanted" >"$PRIVATE/stand_in.c"
    awk '{ of[$2] = of[$2] " " $1 ";" }
         END { for (version in of) if (version != "YAGURA") print version " { global:" of[version] " };"
               print "YAGURA {" (of["YAGURA"] ? " global:" of["YAGURA"] : "") " local: *; };" }' \
        "$PRIVATE/wanted" >"$PRIVATE/stand_in.map"
    ${CC:-cc} -shared -nostdlib -fPIC -O1 -s -Wl,-soname,"$1" -Wl,--version-script,"$PRIVATE/stand_in.map" \
        -Wl,--build-id=none -o "$LAYER/yagura/lib/$1" "$PRIVATE/stand_in.c"
}

libraries() {
    mkdir -p "$LAYER/yagura/lib"
    ldd "$BUILT/bin/yagura-application-reporter" >"$PRIVATE/ldd"
    copy_needed "$BUILT/bin/yagura-application-reporter"
    loader=$(awk '/^\t\// { print $1 }' "$PRIVATE/ldd")
    install -m 755 "$(readlink -f "$loader")" "$LAYER/yagura/lib/ld-yagura.so"
    strip --strip-unneeded "$LAYER"/yagura/lib/lib*
    if [ -f "$BUILT/lib/yagura-preload.so" ]; then
        install -s -m 755 "$BUILT/lib/yagura-preload.so" "$LAYER/yagura/lib/yagura-preload.so"
    fi
    # It runs here, by the layer's own loader.
    "$LAYER/yagura/lib/ld-yagura.so" --library-path "$LAYER/yagura/lib" \
        "$LAYER/yagura/bin/yagura-application-reporter" --version >/dev/null ||
        fail "the reporter does not run with the layer's libraries"
}

rules() {
    "$BUILT/bin/yagura-rules-compiler" --output "$LAYER/yagura/rules.bin" "$RULES" >"$PRIVATE/rules.log" 2>&1 ||
        { cat "$PRIVATE/rules.log" >&2 && fail "the rules in $RULES do not compile"; }
}

# The licences of what is inside, as Debian's packages state them.
licences() {
    mkdir -p "$LAYER/yagura/licences"
    cp "$ROOT/LICENSE" "$LAYER/yagura/licences/yagura"
    for library in "$LAYER"/yagura/lib/lib*; do
        path=$(awk -v name="$(basename "$library")" '$1 == name { print $3; exit }' "$PRIVATE/ldd")
        for place in "$path" "$(readlink -f "$path")" "/usr$path"; do
            dpkg-query -S "$place" 2>/dev/null && break
        done
    done | sed 's/[:,].*//' | sort -u >"$PRIVATE/packages"
    printf '%s\n' libc6 libbrotli-dev libpcre2-dev modsecurity-crs libmodsecurity-dev >>"$PRIVATE/packages"
    sort -u "$PRIVATE/packages" | while IFS= read -r package; do
        [ ! -f "/usr/share/doc/$package/copyright" ] ||
            cp -L "/usr/share/doc/$package/copyright" "$LAYER/yagura/licences/$package"
    done
}

# Of what is shipped: the stand-ins are nobody's, the libraries were stripped, the loader has another name.
bill() {
    for library in "$LAYER"/yagura/lib/lib*; do
        is_unused "$(basename "$library")" ||
            awk -v name="$(basename "$library")" -v shipped="$library" '$1 == name { print $3, shipped; exit }' "$PRIVATE/ldd"
    done >"$PRIVATE/libraries"
    echo "$loader $LAYER/yagura/lib/ld-yagura.so" >>"$PRIVATE/libraries"
    set -- --static rules.bin:modsecurity-crs=modsecurity-crs
    for entry in libc=libc6-dev libconfig=libconfig-dev pcre2=libpcre2-dev zlib=zlib1g-dev brotli=libbrotli-dev \
        libinjection=libmodsecurity-dev; do
        set -- "$@" --static "yagura-application:$entry"
    done
    set -- "$@" --static yagura-wrapper:libc=libc6-dev "$LAYER/extensions/yagura-application" "$LAYER/yagura-wrapper" \
        "$LAYER/yagura/bin/yagura-application-reporter"
    [ ! -f "$LAYER/yagura/lib/yagura-preload.so" ] || set -- "$@" "$LAYER/yagura/lib/yagura-preload.so"
    SOURCE_DATE_EPOCH=$(source_time) python3 "$ROOT/packaging/sbom.py" --name yagura-application-layer --version "$VERSION" \
        --libraries "$PRIVATE/libraries" "$@" >"$LAYER/yagura/sbom.cdx.json"
}

pack() {
    mkdir -p "$OUTPUT"
    name=$(absolute "$OUTPUT")/yagura-application-layer-$VERSION-$ARCHITECTURE.zip
    find "$LAYER" -exec touch -h -d "@$(source_time)" {} +
    rm -f "$name"
    (cd "$LAYER" && find . -type f | LC_ALL=C sort | TZ=UTC zip -q -9 -X -o "$name" -@)
    echo "$name"
}

main() {
    ROOT=$(cd "$(dirname "$0")/../.." && pwd)
    PROGRAM=build-layer.sh
    # shellcheck source=packaging/functions.sh
    . "$ROOT/packaging/functions.sh"
    options "$@"
    need cmake readelf nm strip zip ldd awk python3
    PRIVATE=$(mktemp -d)
    trap 'rm -rf "$PRIVATE"' EXIT
    LAYER=$PRIVATE/layer
    programs
    libraries
    rules
    licences
    bill
    pack
}

main "$@"
