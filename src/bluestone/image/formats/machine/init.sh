#!/bin/busybox sh
# The first process of a virtual machine: opens the verified root, lays memory over what must be writable, and hands
# over to the image's own init. Whatever fails ends this script, and by that the machine: a server that is not whole
# must not come up. busybox runs its own programs by /proc/self/exe, so /proc comes first.
set -eu

fail() {
    echo "bluestone: $1"
    exit 1
}

# The value of a word on the kernel's command line.
word() {
    for each in $(cat /proc/cmdline); do
        case $each in "$1="*) echo "${each#*=}"; return ;; esac
    done
    fail "the kernel's command line has no $1"
}

# The device of the partition of a name; disks may take a while to appear.
partition() {
    tries=0
    while [ $tries -lt 600 ]; do
        for event in /sys/class/block/*/uevent; do
            if [ -e "$event" ] && grep -qx "PARTNAME=$1" "$event"; then
                name=${event%/uevent}
                echo "/dev/${name##*/}"
                return
            fi
        done
        tries=$((tries + 1))
        sleep 0.1
    done
    fail "no disk has the partition $1" >&2
}

/bin/busybox mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev
mount -t tmpfs -o nosuid,nodev,mode=755,size=128m tmpfs /run
for module in /modules/*.ko; do
    # Those for hardware that this machine does not have refuse; one that is missed shows below.
    insmod "$module" 2>/dev/null || true
done

hash=$(word bluestone.root)
blocks=$(word bluestone.blocks)
short=$(echo "$hash" | cut -c 1-24)
data=$(partition "root-$short")
tree=$(partition "verity-$short")
# The kernel's Documentation/admin-guide/device-mapper/verity.rst: the hashes begin after a superblock of one block.
DM_DISABLE_UDEV=1 dmsetup create root --readonly --table \
    "0 $((blocks * 8)) verity 1 $data $tree 4096 4096 $blocks 1 sha256 $hash - 1 panic_on_corruption"
mount -t squashfs -o ro /dev/mapper/root /sysroot

# What belongs to this machine rather than to the image: units that are there for this run alone.
cp -a /server/run/. /run/
cp /bin/busybox /run/bluestone-machine/busybox

# What this one server is handed: a tar on a disk of its own.
mkdir -m 700 /run/bluestone
for serial in /sys/block/*/serial; do
    if [ -e "$serial" ] && [ "$(cat "$serial")" = bluestone-boot ]; then
        disk=${serial%/serial}
        tar -x -p -f "/dev/${disk##*/}" -C /run/bluestone || fail "what the server is handed cannot be unpacked"
    fi
done
if [ -s /run/bluestone/hostname ]; then
    cat /run/bluestone/hostname >/proc/sys/kernel/hostname
fi

for place in run dev sys proc; do
    /bin/busybox mount -o move "/$place" "/sysroot/$place"
done
/bin/busybox chroot /sysroot /run/bluestone-machine/busybox sh /run/bluestone-machine/memory
exec /bin/busybox switch_root /sysroot /sbin/init
