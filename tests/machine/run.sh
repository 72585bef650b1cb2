#!/bin/sh
# Runs tests of the built tree as root on Debian's kernel, in a virtual machine whose control groups are
# of version 2 alone; see README.md.
set -eu

KERNEL_PACKAGE=linux-image-amd64 # the cloud kernel has no 9p
MODULES="virtio_pci 9pnet_virtio 9p overlay"

usage() {
    cat <<'TEXT'
Usage: tests/machine/run.sh [--record FILE] [TEST...]

Runs these tests of ctest (names or patterns; default: system/agent/resources) of build/release-hardened
in a virtual machine, and ends with "N passed, N failed, N skipped".
  --record FILE  writes the result as a page
  --help         this text

Environment: YAGURA_BUILD_DIR: use this build folder, as it is, instead; the machine has a /tmp of its own.
             YAGURA_MACHINE_SECONDS (default 1800): the machine is ended after that time.
             YAGURA_MACHINE_ACCELERATOR: kvm or tcg (software emulation); default: kvm where it is.
TEXT
}

fail() {
    echo "tests/machine/run.sh: $1" >&2
    exit 2
}

parse_options() {
    RECORD=
    PATTERN=
    while [ $# -gt 0 ]; do
        case $1 in
        --record)
            [ $# -ge 2 ] || fail "--record needs a file"
            RECORD=$2
            shift
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*) fail "unknown option '$1'; --help names them" ;;
        *) PATTERN="${PATTERN:+$PATTERN|}$1" ;;
        esac
        shift
    done
    PATTERN=${PATTERN:-system/agent/resources}
}

build_product() {
    BUILD=${YAGURA_BUILD_DIR:-$ROOT/build/release-hardened}
    if [ -n "${YAGURA_BUILD_DIR:-}" ]; then
        BUILD=$(CDPATH='' cd -- "$BUILD" && pwd)
        return 0
    fi
    (cd "$ROOT" && cmake --preset release-hardened >/dev/null && cmake --build "$BUILD" >/dev/null) ||
        fail "build/release-hardened cannot be built"
}

# The kernel and busybox are unpacked below build/ only: installed, they would change how this host boots.
unpack_kernel() {
    [ ! -e "$MACHINE/complete" ] || return 0
    kernel=$(apt-cache depends "$KERNEL_PACKAGE" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
    [ -n "$kernel" ] || fail "apt-get knows no $KERNEL_PACKAGE; run 'apt-get update' first"
    mkdir "$RUN/packages"
    (cd "$RUN/packages" && apt-get -qq download "$kernel" busybox-static 2>"$RUN/apt") ||
        fail "$kernel and busybox-static cannot be downloaded: $(cat "$RUN/apt")"
    for package in "$RUN"/packages/*.deb; do
        dpkg-deb -x "$package" "$RUN/unpacked"
    done
    "$RUN/unpacked/bin/busybox" depmod -b "$RUN/unpacked" "${kernel#linux-image-}"
    mkdir "$RUN/complete"
    mv "$RUN/unpacked/boot"/vmlinuz-* "$RUN/complete/vmlinuz"
    mv "$RUN/unpacked/bin/busybox" "$RUN/unpacked/lib/modules" "$RUN/complete/"
    mv -T "$RUN/complete" "$MACHINE/complete" 2>/dev/null || [ -e "$MACHINE/complete" ]
}

# with_needed MODULES-FOLDER: the paths of MODULES and of what they need.
with_needed() {
    for module in $MODULES; do
        grep "/$module\.ko[^:]*:" "$1/modules.dep" | tr -d : | tr ' ' '\n'
    done | sort -u
}

make_initramfs() {
    tree=$RUN/initramfs
    modules=$(echo "$MACHINE"/complete/modules/*)
    inside=lib/modules/${modules##*/}
    mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/$inside"
    cp "$MACHINE/complete/busybox" "$tree/bin/"
    cp "$ROOT/tests/machine/init.sh" "$tree/init"
    cp "$modules/modules.dep" "$tree/$inside/"
    with_needed "$modules" | while IFS= read -r module; do
        mkdir -p "$tree/$inside/${module%/*}"
        cp "$modules/$module" "$tree/$inside/$module"
    done
    echo "$MODULES" >"$tree/modules"
    printf '%s\n' "$ROOT" "$BUILD" "$PATTERN" "$ACCELERATOR" >"$tree/arguments"
    (cd "$tree" && find . | cpio --quiet -o -H newc) | gzip -1 >"$RUN/initramfs.gz"
}

choose_accelerator() {
    ACCELERATOR=${YAGURA_MACHINE_ACCELERATOR:-}
    [ -z "$ACCELERATOR" ] || return 0
    ACCELERATOR=tcg
    # Without these flags /dev/kvm, where it is, runs only kernels made for it.
    if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then ACCELERATOR=kvm; fi
}

start_machine() {
    : >"$RUN/output"
    timeout -k 10 "${YAGURA_MACHINE_SECONDS:-1800}" qemu-system-x86_64 -accel "$ACCELERATOR" -cpu max -smp 2 -m 3G \
        -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$MACHINE/complete/vmlinuz" -initrd "$RUN/initramfs.gz" \
        -append "console=ttyS0 panic=-1 quiet mitigations=off" \
        -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
        -serial "file:$RUN/kernel.log" -chardev "file,id=output,path=$RUN/output" -serial chardev:output \
        </dev/null &
    QEMU=$!
    tail -f -n +1 --pid="$QEMU" "$RUN/output" &
    TAIL=$!
    wait "$QEMU" || echo "tests/machine/run.sh: the machine was ended ($?)" >&2
    QEMU=
    wait "$TAIL"
}

write_record() {
    {
        echo "# A machine of its own, last run"
        echo
        echo "\`tests/machine/run.sh $(echo "$PATTERN" | tr '|' ' ')\`, $(date -u +%F), $COMMIT. $(sed -n 's/^machine: //p' "$RUN/output")"
        echo
        sed -n '/^| /p' "$RUN/output"
        echo
        echo "$LAST."
    } >"$RECORD"
}

end() {
    [ -z "$QEMU" ] || kill "$QEMU" 2>/dev/null || true
    wait
    rm -rf "$RUN"
}

main() {
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    parse_options "$@"
    COMMIT=$("$ROOT/tests/commit.sh")
    # shellcheck source=installer/dependencies.sh
    . "$ROOT/installer/dependencies.sh"
    packages_install qemu-system-x86 cpio || fail "qemu-system-x86 cannot be installed"
    build_product
    MACHINE=$ROOT/build/machine
    mkdir -p "$MACHINE"
    RUN=$(mktemp -d "$MACHINE/run.XXXXXX")
    QEMU=
    trap end EXIT
    trap 'exit 130' INT TERM
    unpack_kernel
    choose_accelerator
    make_initramfs
    start_machine
    LAST=$(tail -n 1 "$RUN/output")
    case $LAST in
    *" passed, "*" failed, "*" skipped") ;;
    *)
        tail -n 30 "$RUN/kernel.log" >&2
        LAST="0 passed, 1 failed, 0 skipped"
        echo "$LAST"
        ;;
    esac
    [ -z "$RECORD" ] || write_record
    case $LAST in
    *" 0 failed, "*) ;;
    *) exit 1 ;;
    esac
}

main "$@"
