#!/bin/sh
# guest.sh SOURCE BUILD PATTERN ACCELERATOR: runs the tests, as the machine's process 1, and turns the machine off.
set -eu

ctest_results=/run/yagura-results.xml

# As the service manager does: what is made at the top may be given controllers.
enable_controllers() {
    tr ' ' '\n' </sys/fs/cgroup/cgroup.controllers | while IFS= read -r controller; do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
    done
}

run_tests() {
    echo "machine: Linux $(uname -r), $(nproc) processors ($accelerator); control groups: $(cat /sys/fs/cgroup/cgroup.subtree_control)."
    # What several tests share (-FA) is not made again: there is no network here. Emulated, everything takes its time.
    [ "$accelerator" = kvm ] || export YAGURA_TEST_SECONDS=200
    ctest --test-dir "$build" -R "^($pattern)\$" -FA . -V --no-tests=error --output-junit "$ctest_results" \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 || true
    python3 -B "$source/tests/machine/results.py" "$ctest_results"
}

main() {
    source=$1 build=$2 pattern=$3 accelerator=$4
    stty -F /dev/ttyS1 raw -echo
    enable_controllers
    run_tests >/dev/ttyS1 2>&1 || true
    stty -F /dev/ttyS1 drain >/dev/null 2>&1 || true
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}

main "$@"
