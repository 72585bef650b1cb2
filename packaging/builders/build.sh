#!/bin/sh
# Builds packages in containers of other distributions and executes them there. See usage.
set -eu

ALL_TARGETS="debian-12 debian-13 ubuntu-22.04 ubuntu-24.04 amazon-2023 redhat-9"

usage() {
    cat <<'TEXT'
Usage: packaging/builders/build.sh --output FOLDER [--architecture x86_64|arm64] [--version VERSION]
                                   [--dry-run] [TARGET...]

Makes FOLDER/TARGET-ARCHITECTURE for each target (default: all), for ssm-package/build.sh: packages of that
distribution and the portable one, and the record of what ran there. Needs podman or docker.
  --architecture A  default: this machine's; another one needs its emulation
  --version V       of the packages; default: that of CMakeLists.txt
  --dry-run         prints the commands instead of running them
Targets: debian-12 debian-13 ubuntu-22.04 ubuntu-24.04 amazon-2023 redhat-9
TEXT
}

# --- what a target is ------------------------------------------------------------------------

# image_of TARGET: the distribution's own image. Rocky Linux stands for Enterprise Linux.
image_of() {
    case $1 in
    debian-* | ubuntu-*) echo "${1%%-*}:${1#*-}" ;;
    amazon-2023) echo amazonlinux:2023 ;;
    redhat-9) echo rockylinux/rockylinux:9 ;;
    *) fail "there is no target $1; --help lists them" ;;
    esac
}

kind_of() { # TARGET
    case $1 in
    debian-* | ubuntu-*) echo deb ;;
    *) echo rpm ;;
    esac
}

# The portable package's libraries are Debian 12's on every distribution.
PORTABLE_TARGET=debian-12

# --- containers ------------------------------------------------------------------------------

act() {
    if [ "$DRY_RUN" = yes ]; then
        printf '%s\n' "$*"
    else
        "$@"
    fi
}

# prepare_image TARGET: with compiler and headers.
prepare_image() {
    case $(kind_of "$1") in
    deb) file=debian.containerfile ;;
    rpm) file=rpm.containerfile ;;
    esac
    act "$ENGINE" build --platform "linux/$PLATFORM" --build-arg "BASE=$(image_of "$1")" \
        --file "$ROOT/packaging/builders/$file" --tag "yagura-build:$1-$ARCHITECTURE" "$ROOT"
}

# in_container IMAGE COMMAND...: with the tree at /source, read-only, and the folder of results at /output.
in_container() {
    image=$1
    shift
    act "$ENGINE" run --rm --platform "linux/$PLATFORM" --volume "$ROOT:/source:ro" --volume "$OUTPUT:/output" \
        --env "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" --env GIT_CONFIG_COUNT=1 --env GIT_CONFIG_KEY_0=safe.directory \
        --env GIT_CONFIG_VALUE_0=/source "$image" "$@"
}

# --- steps -----------------------------------------------------------------------------------

build_portable() {
    prepare_image "$PORTABLE_TARGET"
    in_container "yagura-build:$PORTABLE_TARGET-$ARCHITECTURE" /source/packaging/build-portable.sh \
        --version "$VERSION" --output "/output/portable-$ARCHITECTURE"
}

# build_target TARGET: into its folder, then executed there. The portable package runs with its own libraries only,
# whatever else the image has.
build_target() {
    kind=$(kind_of "$1")
    folder=/output/$1-$ARCHITECTURE
    [ "$1" = "$PORTABLE_TARGET" ] || prepare_image "$1"
    in_container "yagura-build:$1-$ARCHITECTURE" "/source/packaging/build-$kind.sh" --version "$VERSION" --output "$folder"
    # shellcheck disable=SC2016  # for the container's shell
    in_container "yagura-build:$1-$ARCHITECTURE" sh -c \
        'rm -f "$1"/*dbgsym* "$1"/*debuginfo* "$1"/*debugsource* "$1"/yagura-console* && cp "$2"/yagura-agent-portable*."$3" "$1"' \
        sh "$folder" "/output/portable-$ARCHITECTURE" "$kind"
    in_container "yagura-build:$1-$ARCHITECTURE" sh /source/ssm-package/try.sh "$folder"
}

# --- command line ----------------------------------------------------------------------------

choose_architecture() {
    case $ARCHITECTURE in
    x86_64) PLATFORM=amd64 ;;
    arm64 | aarch64) PLATFORM=arm64 ARCHITECTURE=arm64 ;;
    *) fail "--architecture is x86_64 or arm64, not $ARCHITECTURE" ;;
    esac
}

choose_engine() {
    for ENGINE in podman docker; do
        ! command -v "$ENGINE" >/dev/null 2>&1 || return 0
    done
    [ "$DRY_RUN" = yes ] || fail "neither podman nor docker is installed"
}

parse_options() {
    OUTPUT=
    ARCHITECTURE=$(uname -m)
    VERSION=$(project_version)
    DRY_RUN=no
    TARGETS=
    while [ $# -gt 0 ]; do
        case $1 in
        --output | --architecture | --version)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
            --output) OUTPUT=$2 ;;
            --architecture) ARCHITECTURE=$2 ;;
            --version) VERSION=$2 ;;
            esac
            shift
            ;;
        --dry-run) DRY_RUN=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*) fail "unknown option $1; --help explains" ;;
        *)
            image_of "$1" >/dev/null
            TARGETS="$TARGETS $1"
            ;;
        esac
        shift
    done
    [ -n "$OUTPUT" ] || fail "--output is missing"
    TARGETS=${TARGETS:-$ALL_TARGETS}
}

main() {
    PROGRAM=builders/build.sh
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    # shellcheck source=packaging/functions.sh
    . "$ROOT/packaging/functions.sh"
    parse_options "$@"
    choose_architecture
    choose_engine
    SOURCE_DATE_EPOCH=$(source_time)
    if [ "$DRY_RUN" = no ]; then
        mkdir -p "$OUTPUT"
        OUTPUT=$(absolute "$OUTPUT")
    fi
    build_portable
    for target in $TARGETS; do
        build_target "$target"
    done
}

main "$@"
