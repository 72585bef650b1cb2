# shellcheck shell=sh disable=SC2034
# Debian 12 and Ubuntu 22.04/24.04 packages, one list a purpose: the only place that names them.
# Sourced by installer/quickstart.sh and tests/run.sh, which then use the functions below.

# Compiling the programs.
BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libclamav-dev libconfig-dev libsqlite3-dev
 libssl-dev libjansson-dev libseccomp-dev libsystemd-dev libcurl4-openssl-dev
 libmicrohttpd-dev libgnutls28-dev libargon2-dev libpq-dev libpcre2-dev zlib1g-dev curl"
# Application protection: libinjection stands in libmodsecurity's archive; the rule set.
APPLICATION_PACKAGES="libbrotli-dev libmodsecurity-dev modsecurity-crs"
# Tests and static checks.
TEST_PACKAGES="git libcmocka-dev python3 clang clang-format clang-tidy libclang-rt-dev cppcheck shellcheck groff
 binutils systemd ccache clamav clamav-testfiles p7zip-full arj cpio xz-utils bzip2 zip jq postgresql
 rpm debhelper dpkg-dev lintian patchelf rpmlint $APPLICATION_PACKAGES debootstrap valgrind python3-yaml"
# What tests use and Debian 12 has not: docs/development.md says which ones skip without it.
UNPACKAGED_PROGRAMS="moto_server cfn-lint"
# Current signatures; its absence is no error.
SIGNATURE_PACKAGES="clamav-freshclam"

# packages_missing PACKAGE...: prints those that are not installed.
packages_missing() {
    for package_name in "$@"; do
        # shellcheck disable=SC2016  # dpkg-query expands it
        package_state=$(dpkg-query -W -f='${db:Status-Status}' "$package_name" 2>/dev/null || true)
        [ "$package_state" = installed ] || printf '%s ' "$package_name"
    done
}

# as_root COMMAND...: runs it as root, by sudo when need be and when no password is asked for.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n -- "$@"
    else
        echo "not root, and no sudo: cannot run: $*" >&2
        return 1
    fi
}

# packages_install PACKAGE...: installs what is missing; asks nothing; waits for another apt.
packages_install() {
    # shellcheck disable=SC2046  # one word a package
    set -- $(packages_missing "$@")
    [ $# -gt 0 ] || return 0
    echo "installing: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
            -o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
}
