#!/bin/sh
# Builds the self-contained agent: programs, loader and libraries in /opt/yagura. See usage.
set -eu

usage() {
    cat <<'TEXT'
Usage: packaging/build-portable.sh [--output FOLDER] [--version VERSION] [--jobs N] [--built TREE]
                                   [--fast]

Builds into FOLDER (default build/packages), and prints the path of each:
  yagura-agent-portable_VERSION_ARCH.deb     for dpkg
  yagura-agent-portable-VERSION-1.ARCH.rpm   for rpm, when rpmbuild is there
  yagura-agent-VERSION-linux-ARCH.tar.gz     to unpack at /, then /opt/yagura/lifecycle installed
  --fast  compresses little: larger files, sooner
Other options as of build-deb.sh. The libraries are those of the machine that builds.
TEXT
}

parse_options() {
    OUTPUT=$ROOT/build/packages
    VERSION=$(project_version)
    JOBS=$(nproc)
    BUILT=
    FAST=false
    while [ $# -gt 0 ]; do
        case $1 in
        --output | --version | --jobs | --built)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
            --output) OUTPUT=$2 ;;
            --version) VERSION=$2 ;;
            --jobs) JOBS=$2 ;;
            --built) BUILT=$2 ;;
            esac
            shift
            ;;
        --fast) FAST=true ;;
        --help | -h)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
        esac
        shift
    done
}

# --- the tree --------------------------------------------------------------------------------

# Those that need a loader; the others are scripts.
binaries() {
    for program in "$HOME_TREE"/bin/*; do
        [ "$(head -c 2 "$program")" = '#!' ] || echo "$program"
    done
}

# Programs from wherever CMake installs them into one folder, where they find each other.
install_programs() {
    mkdir -p "$PRIVATE/stage" "$HOME_TREE/bin" "$HOME_TREE/lib/gconv"
    for component in yagura-agent yagura-scanner yagura-agent-system; do
        DESTDIR=$PRIVATE/stage cmake --install "$BUILT" --strip --component "$component"
    done >"$PRIVATE/install.log"
    mv "$PRIVATE"/stage/usr/sbin/* "$PRIVATE"/stage/usr/libexec/yagura/* "$HOME_TREE/bin/"
    rm -r "$PRIVATE/stage/usr/libexec" "$PRIVATE/stage/usr/sbin"
    mv "$PRIVATE/stage/usr/share/man" "$HOME_TREE/share/"
    rm -r "$PRIVATE/stage/usr/share/bash-completion"
    cp -R "$PRIVATE/stage/." "$TREE/"
    mkdir -p "$TREE/usr/sbin"
    ln -s /opt/yagura/bin/yaguractl "$TREE/usr/sbin/yaguractl"
    sed -i 's,^\(ExecStart=\)[^ ]*/,\1/opt/yagura/bin/,' "$TREE/usr/lib/systemd/system/yagura-agent.service"
}

# What the programs load, by the name they ask for. ldd says "name => path (address)" and, for the
# loader, "path (address)".
copy_libraries() {
    # shellcheck disable=SC2046  # one word a program
    ldd $(binaries) >"$PRIVATE/ldd"
    awk '/=>/ { print $3 } /^\t\// { print $1 }' "$PRIVATE/ldd" | sort -u >"$PRIVATE/libraries"
    ! grep -q 'not found' "$PRIVATE/ldd" || fail "a library is missing on this machine"
    while IFS= read -r library; do
        cp -L "$library" "$HOME_TREE/lib/$(basename "$library")"
    done <"$PRIVATE/libraries"
    LOADER=$(basename "$(patchelf --print-interpreter "$HOME_TREE/bin/yagura-agent")")
    [ -x "$HOME_TREE/lib/$LOADER" ] || fail "the loader $LOADER was not found"
}

# Same length, so that nothing moves: slashes may be repeated in a path.
move_converters() {
    from=$(dirname "$(grep '/libc\.so\.6$' "$PRIVATE/libraries")")
    from=$(absolute "$from")/gconv
    [ -d "$from" ] || from=/usr${from#/usr}
    [ -d "$from" ] || fail "the C library's converters are not in $from"
    cp "$from"/*.so "$HOME_TREE/lib/gconv/"
    cp -R "$from"/gconv-modules* "$HOME_TREE/lib/gconv/"
    rm -f "$HOME_TREE/lib/gconv/gconv-modules.cache"
    python3 - "$HOME_TREE/lib/libc.so.6" "$from" <<'PYTHON'
import sys
path, before = sys.argv[1], sys.argv[2].encode()
before = before if before.startswith(b"/usr/") else b"/usr" + before
start, end = b"/opt/yagura/lib", b"gconv"
after = start + b"/" * (len(before) - len(start) - len(end)) + end
content = open(path, "rb").read()
if len(before) < len(start) + 1 + len(end) or before not in content:
    sys.exit(f"{path} does not name {before.decode()}")
open(path, "wb").write(content.replace(before, after))
PYTHON
}

point_programs_home() {
    for program in $(binaries); do
        patchelf --set-interpreter "/opt/yagura/lib/$LOADER" --force-rpath --set-rpath /opt/yagura/lib "$program"
    done
}

document() {
    mkdir -p "$HOME_TREE/share/doc"
    cp "$ROOT/LICENSE" "$HOME_TREE/share/doc/yagura"
    # Which licence each library is under stands in its package, which dpkg knows by the real path; one question
    # for all, because dpkg reads all it knows for each.
    while IFS= read -r library; do
        printf '%s\n' "$library" "$(readlink -f "$library")" "/usr$library"
    done <"$PRIVATE/libraries" >"$PRIVATE/paths"
    : >"$PRIVATE/owners"
    ! command -v dpkg-query >/dev/null 2>&1 || xargs dpkg-query -S <"$PRIVATE/paths" >"$PRIVATE/owners" 2>/dev/null || true
    sed 's/[:,].*//' "$PRIVATE/owners" | sort -u | while IFS= read -r package; do
        cp -L "/usr/share/doc/$package/copyright" "$HOME_TREE/share/doc/$package"
    done
    # shellcheck disable=SC2046  # one word a program
    python3 "$ROOT/packaging/sbom.py" --name yagura-agent-portable --version "$VERSION" \
        --libraries "$PRIVATE/libraries" $(binaries) >"$HOME_TREE/share/sbom.cdx.json"
}

make_tree() {
    TREE=$PRIVATE/tree
    HOME_TREE=$TREE/opt/yagura
    mkdir -p "$HOME_TREE/share"
    install_programs
    copy_libraries
    document
    move_converters
    point_programs_home
    install -m 755 "$ROOT/packaging/portable/lifecycle.sh" "$HOME_TREE/lifecycle"
    find "$TREE" -type d -exec chmod 755 {} +
    find "$TREE" -type f -perm -100 -exec chmod 755 {} +
    find "$TREE" -type f ! -perm -100 -exec chmod 644 {} +
    find "$TREE" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# --- the three forms -------------------------------------------------------------------------

build_tarball() {
    name=$OUTPUT/yagura-agent-$VERSION-linux-$(uname -m).tar.gz
    (cd "$TREE" && tar --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -cf - ./*) |
        gzip "-n$LEVEL" >"$name"
    echo "$name"
}

build_deb() {
    architecture=$(dpkg --print-architecture)
    control=$TREE/DEBIAN
    mkdir "$control"
    sed -e "s/@VERSION@/$VERSION/; s/@ARCHITECTURE@/$architecture/" \
        -e "s/@SIZE@/$(du -sk --apparent-size "$TREE" | cut -f 1)/" "$ROOT/packaging/portable/control.in" >"$control/control"
    printf '%s\n' /etc/yagura/agent.conf /etc/yagura/policy.conf >"$control/conffiles"
    # shellcheck disable=SC2016  # for the package's shell
    {
        printf '#!/bin/sh\nset -e\ncase $1 in\nconfigure)\n    if [ -n "${2:-}" ]; then\n        /opt/yagura/lifecycle installed upgrade\n    else\n        /opt/yagura/lifecycle installed first\n    fi\n    ;;\nesac\n' >"$control/postinst"
        printf '#!/bin/sh\nset -e\n[ "$1" != remove ] || /opt/yagura/lifecycle removing\n' >"$control/prerm"
        printf '#!/bin/sh\nset -e\nif [ "$1" = purge ] && [ ! -e /usr/sbin/yagura-agent ]; then\n    rm -rf /var/lib/yagura /run/yagura /etc/yagura/signatures /etc/yagura/policies\n    rmdir --ignore-fail-on-non-empty /etc/yagura 2>/dev/null || true\nfi\n' >"$control/postrm"
    }
    chmod 755 "$control/postinst" "$control/prerm" "$control/postrm"
    find "$control" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    name=$OUTPUT/yagura-agent-portable_${VERSION}_$architecture.deb
    dpkg-deb --root-owner-group "-Z$DEB_METHOD" "-z$LEVEL" -b "$TREE" "$name" >"$PRIVATE/deb.log"
    rm -r "$control"
    echo "$name"
}

build_rpm() {
    rpmbuild -bb --quiet --nodeps --target "$(uname -m)-linux" --define "_topdir $PRIVATE/rpm" --define "tree $TREE" \
        --define "yagura_version $VERSION" --define "_buildhost yagura" --define "_binary_payload w$LEVEL.${RPM_METHOD}dio" \
        --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
        "$ROOT/packaging/portable/yagura-agent-portable.spec" >"$PRIVATE/rpm.log" 2>&1 || {
        cat "$PRIVATE/rpm.log" >&2
        fail "rpmbuild failed"
    }
    for package in "$PRIVATE"/rpm/RPMS/*/*.rpm; do
        cp "$package" "$OUTPUT/"
        echo "$OUTPUT/$(basename "$package")"
    done
}

main() {
    PROGRAM=build-portable.sh
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    # shellcheck source=packaging/functions.sh
    . "$ROOT/packaging/functions.sh"
    parse_options "$@"
    need cmake patchelf python3 ldd
    PRIVATE=$(mktemp -d)
    trap 'rm -rf "$PRIVATE"' EXIT
    umask 022
    mkdir -p "$OUTPUT"
    OUTPUT=$(absolute "$OUTPUT")
    SOURCE_DATE_EPOCH=$(source_time)
    export SOURCE_DATE_EPOCH
    if [ -n "$BUILT" ]; then
        check_built_tree "$BUILT" "$VERSION"
    else
        BUILT=$PRIVATE/build
        build_programs "$BUILT" "$VERSION" "$JOBS" >"$PRIVATE/build.log" 2>&1 || {
            tail -n 60 "$PRIVATE/build.log" >&2
            fail "the build failed"
        }
    fi
    LEVEL=6 DEB_METHOD=xz RPM_METHOD=xz
    [ "$FAST" = false ] || LEVEL=1 DEB_METHOD=gzip RPM_METHOD=gz
    make_tree
    build_tarball
    ! command -v dpkg-deb >/dev/null 2>&1 || build_deb
    ! command -v rpmbuild >/dev/null 2>&1 || build_rpm
}

main "$@"
