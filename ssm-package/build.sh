#!/bin/sh
# Makes the Distributor package: one zip for each folder of packages, and manifest.json, which lists the
# platforms and architectures those packages were executed on (try.sh says so), and no other.
# The same packages give the same bytes.
set -eu

SCRIPTS="common.sh install.sh uninstall.sh update.sh validate.sh"
# AWS takes 20 attachments a package; a zip is fetched by every new machine.
MOST_ZIPS=20
MOST_BYTES=62914560

usage() {
    cat <<'TEXT'
Usage: ssm-package/build.sh --version VERSION --output FOLDER [--sign KEY] PACKAGES...

  --version VERSION  of the package: letters, digits, "_", "-", "."; also its VersionName
  --output FOLDER    is made, or must be empty
  --sign KEY         Ed25519 private key: signs deployment.list, for installer/deployment.sh
  PACKAGES           folders that try.sh has been run on: debs, or rpms, of Yagura. With the portable package
                     among them, or alone, machines need nothing else; without it, everything that a machine
                     of that distribution may lack belongs into the folder

Environment: SOURCE_DATE_EPOCH (default 1980-01-01) is the time of every file in the zips.
TEXT
}

die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

# --- one folder of packages ------------------------------------------------------------------

# kind_of FOLDER: apt or rpm, by what is in it.
kind_of() {
    found=
    for pair in apt:deb rpm:rpm; do
        [ -z "$(find "$1" -maxdepth 1 -name "*.${pair#*:}" -print -quit)" ] || found="$found ${pair%%:*}"
    done
    case $found in
    ' apt' | ' rpm') echo "${found# }" ;;
    '') die "$1 holds no deb and no rpm" ;;
    *) die "$1 holds packages of several kinds:$found" ;;
    esac
}

# check_tried FOLDER: that what is in it is what was executed.
check_tried() {
    [ -s "$1/EXECUTED" ] || die "$1 was never executed: run ssm-package/try.sh $1 on a machine it is for"
    (cd "$1" && sed -n 's/^file //p' EXECUTED | sha256sum --check --strict --status) ||
        die "$1 is not what was executed: run ssm-package/try.sh $1 again"
    find "$1" -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' \) -printf '%f\n' |
        while IFS= read -r name; do
            grep -q "^file [0-9a-f]*  $name\$" "$1/EXECUTED" || die "$1/$name was never executed: run try.sh again"
        done
}

# The repository that the folder of the zip is: what dpkg-scanpackages would write.
index_debs() {
    for deb in *.deb; do
        dpkg-deb --field "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(wc -c <"$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done
}

# take_package NAME VERSION: of ours.
take_package() {
    case $1 in
    yagura-agent-portable) PORTABLE="$1=$2" ;;
    yagura*) PACKAGES="$PACKAGES $1=$2" ;;
    esac
}

# Sets PACKAGES and PORTABLE (name=version of ours) and INSTALLED_KB of the packages in the current folder.
describe_packages() {
    PACKAGES=
    PORTABLE=
    INSTALLED_KB=0
    case $1 in
    apt)
        for deb in *.deb; do
            name=$(dpkg-deb --field "$deb" Package)
            size=$(dpkg-deb --field "$deb" Installed-Size)
            INSTALLED_KB=$((INSTALLED_KB + ${size:-0}))
            take_package "$name" "$(dpkg-deb --field "$deb" Version)"
        done
        ;;
    rpm)
        for rpm in *.rpm; do
            name=$(rpm -qp --nosignature --qf '%{NAME}' "$rpm")
            INSTALLED_KB=$((INSTALLED_KB + $(rpm -qp --nosignature --qf '%{SIZE}' "$rpm") / 1024))
            take_package "$name" "$(rpm -qp --nosignature --qf '%{VERSION}-%{RELEASE}' "$rpm")"
        done
        ;;
    esac
    PACKAGES=${PACKAGES# }
    [ -n "$PACKAGES$PORTABLE" ] || die "none of Yagura's own packages is among them"
}

# An epoch stands as %3a in the name of a downloaded deb, which apt would take for a colon.
plain_names() {
    for deb in "$1"/*%3a*.deb; do
        [ ! -e "$deb" ] || mv "$deb" "$(printf %s "$deb" | sed 's/%3a/_/g')"
    done
}

# write_zip KIND PLATFORMS ARCHITECTURE NAME: of the current folder, which holds the packages. Flat: the
# Systems Manager agent looks for install.sh at the top.
write_zip() {
    describe_packages "$1"
    [ "$1" != apt ] || index_debs >Packages
    rm -f EXECUTED
    {
        printf 'version=%s\nkind=%s\narchitecture=%s\nplatforms=%s\n' "$VERSION" "$1" "$3" "$2"
        printf 'packages=%s\nportable=%s\ninstalled_kb=%s\n' "$PACKAGES" "$PORTABLE" "$INSTALLED_KB"
        printf 'files=%s\n' "$(find . -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' \) -printf '%f\n' | sort | tr '\n' ' ' | sed 's/ $//')"
    } >package.conf
    for script in $SCRIPTS; do
        cp "$HERE/scripts/$script" .
        chmod 0755 "$script"
    done
    find . -maxdepth 1 -type f -printf '%f\n' | sort | tr '\n' '\0' | xargs -0 sha256sum >"$WORK/sums"
    mv "$WORK/sums" SHA256SUMS
    find . -type f -exec touch --no-dereference --date "@$EPOCH" {} +
    find . -maxdepth 1 -type f -printf '%f\n' | sort | TZ=UTC zip -q -X -D -9 "$OUTPUT/$4" -@
    tar --create --format=gnu --sort=name --mtime="@$EPOCH" --owner=0 --group=0 --numeric-owner --file "$OUTPUT/${4%.zip}.tar" .
    bytes=$(wc -c <"$OUTPUT/$4")
    [ "$bytes" -le "$MOST_BYTES" ] || die "$4 has $bytes bytes, more than the $MOST_BYTES that it may have"
    printf '%s  %s MB\n' "$4" "$(awk -v n="$bytes" 'BEGIN { printf "%.1f", n / 1048576 }')"
}

# pairs_of FOLDER: "platform version" lines of where its packages were executed.
pairs_of() {
    sed -n 's/^platform //p' "$1/EXECUTED"
}

# add_folder FOLDER
add_folder() {
    check_tried "$1"
    kind=$(kind_of "$1")
    architecture=$(sed -n 's/^architecture //p' "$1/EXECUTED")
    platforms=$(pairs_of "$1" | tr ' ' ':' | tr '\n' ' ' | sed 's/ $//')
    if [ -z "$platforms" ] || [ -z "$architecture" ]; then
        die "$1/EXECUTED is not whole: run try.sh again"
    fi
    label=$(printf %s "$platforms" | tr ': ' '-_')
    [ "${#label}" -le 32 ] || label=$(printf '%s-%s' "$kind" "$(printf %s "$label" | sha256sum | cut -c1-8)")
    name=yagura-agent_${VERSION}_${label}_$architecture.zip
    [ ! -e "$OUTPUT/$name" ] || die "two folders are for the same platform: $name"
    mkdir "$WORK/zip"
    find "$1" -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' -o -name EXECUTED \) -exec cp {} "$WORK/zip/" \;
    chmod 0644 "$WORK"/zip/*
    plain_names "$WORK/zip"
    (cd "$WORK/zip" && write_zip "$kind" "$platforms" "$architecture" "$name")
    rm -rf "$WORK/zip"
    pairs_of "$1" | while read -r platform version; do
        printf '%s %s %s %s\n' "$platform" "$version" "$architecture" "$name" >>"$WORK/served"
    done
}

# --- manifest --------------------------------------------------------------------------------

# Sorted lines "platform version architecture file" as the nested objects of schema 2.0.
write_packages() {
    LC_ALL=C sort "$WORK/served" | awk '
    function close_to(depth) { while (open > depth) { printf "}"; open-- } }
    {
        if (!(($1, $2, $3) in seen)) seen[$1, $2, $3] = $4
        else { print "two packages for " $1 " " $2 " " $3 >"/dev/stderr"; exit 1 }
        if ($1 != platform) { close_to(0); if (platform != "") printf ",\n"; printf "    \"%s\": {", $1; open = 1 }
        if ($1 != platform || $2 != version) {
            if ($1 == platform) { close_to(1); printf ", " }
            printf "\"%s\": {", $2; open = 2
        } else printf ", "
        printf "\"%s\": {\"file\": \"%s\"}", $3, $4
        platform = $1; version = $2
    }
    END { close_to(0); print "" }'
}

write_files() {
    first=yes
    for zip in "$OUTPUT"/*.zip; do
        [ "$first" = yes ] || printf ',\n'
        first=no
        printf '    "%s": {"checksums": {"sha256": "%s"}}' "${zip##*/}" "$(sha256sum "$zip" | cut -d' ' -f1)"
    done
    printf '\n'
}

write_manifest() {
    {
        printf '{\n  "schemaVersion": "2.0",\n  "publisher": "Yagura",\n  "version": "%s",\n  "packages": {\n' "$VERSION"
        write_packages
        printf '  },\n  "files": {\n'
        write_files
        printf '  }\n}\n'
    } >"$OUTPUT/manifest.json"
}

# The same for installer/deployment.sh, which finds packages by it and wants it signed.
write_list() {
    LC_ALL=C sort "$WORK/served" | while read -r platform version architecture zip; do
        tar=${zip%.zip}.tar
        printf '%s %s %s %s %s\n' "$platform" "$version" "$architecture" "$(sha256sum <"$OUTPUT/$tar" | cut -d' ' -f1)" "$tar"
    done >"$OUTPUT/deployment.list"
    [ -z "$KEY" ] || openssl pkeyutl -sign -rawin -inkey "$KEY" -in "$OUTPUT/deployment.list" -out "$OUTPUT/deployment.list.sig" ||
        die "$KEY cannot sign: it must be an Ed25519 private key (openssl genpkey -algorithm ed25519)"
}

# --- command line ----------------------------------------------------------------------------

parse_options() {
    VERSION=
    OUTPUT=
    KEY=
    while [ $# -gt 0 ]; do
        case $1 in
        --version | --output | --sign)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --version) VERSION=$2 ;;
            --output) OUTPUT=$2 ;;
            --sign) KEY=$2 ;;
            esac
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        -*) die "unknown option $1; --help explains" ;;
        *) printf '%s\n' "$1" >>"$WORK/folders" ;;
        esac
        shift
    done
    printf '%s' "$VERSION" | grep -qxE '[A-Za-z0-9_.-]{1,128}' || die "--version '$VERSION': letters, digits, _ - . and at most 128 of them"
    [ -n "$OUTPUT" ] || die "--output is missing"
    [ -s "$WORK/folders" ] || die "no folder of packages is given"
}

main() {
    HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    umask 022
    EPOCH=${SOURCE_DATE_EPOCH:-315532800}
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    parse_options "$@"
    mkdir -p "$OUTPUT"
    OUTPUT=$(CDPATH='' cd -- "$OUTPUT" && pwd)
    [ -z "$(ls -A "$OUTPUT")" ] || die "$OUTPUT is not empty"
    [ "$(wc -l <"$WORK/folders")" -le "$MOST_ZIPS" ] || die "AWS takes at most $MOST_ZIPS zips a package"
    while IFS= read -r folder; do
        add_folder "$folder"
    done <"$WORK/folders"
    write_manifest
    write_list
    echo "manifest.json  $(wc -l <"$WORK/served") pairs of platform and architecture"
}

main "$@"
