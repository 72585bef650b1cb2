#!/bin/busybox sh
# shellcheck shell=sh
# The first process of the machine: the host's tree for reading, a layer in memory above it, and then guest.sh.
set -eu

load_modules() {
    # shellcheck disable=SC2013  # one line of words
    for module in $(cat /modules); do
        modprobe "$module"
    done
}

mount_tree() {
    mkdir /host /layer /tree
    mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
    mount -t tmpfs layer /layer
    mkdir /layer/upper /layer/work
    mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /tree
}

mount_rest() {
    mount -t proc proc /tree/proc
    mount -t sysfs sysfs /tree/sys
    mount -t devtmpfs dev /tree/dev
    mkdir -p /tree/dev/shm /tree/dev/pts
    mount -t devpts devpts /tree/dev/pts
    mount -t tmpfs -o mode=1777 shm /tree/dev/shm
    mount -t tmpfs -o mode=0755 run /tree/run
    mount -t tmpfs -o mode=1777 tmp /tree/tmp
    mount -t cgroup2 cgroup2 /tree/sys/fs/cgroup
}

main() {
    /bin/busybox --install -s /bin
    mount -t proc proc /proc
    mount -t devtmpfs dev /dev
    load_modules
    mount_tree
    mount_rest
    ifconfig lo 127.0.0.1 up
    {
        read -r source
        read -r build
        read -r pattern
        read -r accelerator
    } </arguments
    umount /proc
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        /bin/busybox switch_root /tree /bin/sh "$source/tests/machine/guest.sh" "$source" "$build" "$pattern" "$accelerator"
}

PATH=/bin
trap 'poweroff -f' EXIT
main
