#!/bin/sh
# Whether this version is installed, its service runs this version's program, and the association's
# settings are those it was installed with. State Manager's repair hangs on it: without it an agent
# that was removed by hand stays away. Asks neither the agent nor the network, and says nothing
# when all is well. A console that cannot be reached is no reason to install again.
set -eu

settings_are_wanted() {
    for pair in "prefix=${SSM_YAGURA_PARAMETER_PREFIX:-}" "region=${SSM_YAGURA_REGION:-}"; do
        [ -z "${pair#*=}" ] || grep -qxF "$pair" "$SETTINGS" 2>/dev/null || return 1
    done
}

main() {
    begin validating
    read_package
    packages_are_right || die "version $VERSION is not installed"
    service_is_current || die "the agent of version $VERSION does not run"
    settings_are_wanted || die "the association's additional arguments are not those of the installation"
}

if [ ! -s common.sh ]; then
    echo "yagura: the package in $PWD is not whole" >&2
    exit 1
fi
# shellcheck source=ssm-package/scripts/common.sh
. ./common.sh
main
