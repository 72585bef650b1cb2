# shellcheck shell=sh disable=SC2034
# Debian and Ubuntu packages that building, testing and running Yagura need, one list a purpose.
# Sourced by installer/quickstart.sh and tests/run.sh.
BUILD_PACKAGES="gcc cmake ninja-build pkg-config libc6-dev libclamav-dev libconfig-dev libsqlite3-dev
 libssl-dev libjansson-dev libseccomp-dev"
TEST_PACKAGES="libcmocka-dev clang clang-tidy clang-format shellcheck python3 clamav clamav-testfiles
 p7zip-full arj cpio xz-utils zip jq groff"
