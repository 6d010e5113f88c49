#!/usr/bin/env bash
# A fresh clone of HEAD on another release: tests/other_release.sh RELEASE [VERB ARG ...] runs `./dev VERB ARG ...` there.
#
# RELEASE is a suite (trixie, bookworm, noble). Its root has what every Debian has, git, Python and sudo, and namespaces of
# its own: mounts, processes, host name, network (outgoing through slirp4netns). The kernel is this machine's, and so is
# the cgroup tree. $BLUESTONE_RELEASES names a directory that keeps roots and clones for the next run. A host that is not
# Ubuntu is told of Ubuntu's archive and its keys by $BLUESTONE_UBUNTU (a URI) and $BLUESTONE_KEYRING (a file). Needs root.
set -euo pipefail

release=${1:?usage: tests/other_release.sh RELEASE [VERB ARG ...]}
shift
# Runs in the new namespaces: makes $1 the root of the file system, then runs the rest.
enter() {
    local root=$1
    shift
    hostname "${root##*/}"
    mount --bind "$root" "$root"
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    # podman keeps its locks in shared memory, by name: not those of this host.
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mkdir -p "$root/run/lock"
    mkdir -p "$root/.before"
    cd "$root"
    pivot_root . .before
    umount --lazy /.before
    mount --make-rshared /
    ip link set lo up
    # Until the network is there.
    local wait=100
    until ip route | grep -q default || [ $((wait -= 1)) = 0 ]; do sleep 0.1; done
    cd /root/bluestone
    exec "$@"
}

if [ "${1:-}" = --enter ]; then
    shift
    enter "$@"
fi

repository=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
place=${BLUESTONE_RELEASES:-}
if [ -z "$place" ]; then
    place=$(mktemp -d /var/tmp/bs-release-XXXXXX)
    trap 'rm -rf --one-file-system "$place"' EXIT
fi
root=$place/$release

# The address in this host's apt configuration of the archive with that label, without the slash at its end.
archive_of() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" | head -n 1 | sed 's,/*$,,'
}

make_root() {
    local sources mirror
    case "$release" in
        noble | jammy)
            mirror=${BLUESTONE_UBUNTU:-$(archive_of Ubuntu)}
            : "${mirror:?the sources of apt on this host name no archive of Ubuntu: set BLUESTONE_UBUNTU to one}"
            sources=$(printf 'deb %s %s main universe\n' "$mirror" "$release" "$mirror" "$release-updates")
            ;;
        *)
            mirror=$(archive_of Debian)
            sources=$(printf 'deb %s %s main\n' "$mirror" "$release" "$mirror" "$release-updates" \
                "$(archive_of Debian-Security)" "$release-security")
            ;;
    esac
    mmdebstrap --quiet --variant=minbase --include=apt,git,python3,ca-certificates,sudo,iproute2 \
        ${BLUESTONE_KEYRING:+"--keyring=$BLUESTONE_KEYRING"} "$release" "$root.new" - <<< "$sources"
    mv "$root.new" "$root"
}

# How this host reaches archives and registries: resolver, proxies, certificates, pip's configuration.
hand_over_access() {
    local file
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [ ! -e "$file" ] || cp --dereference --remove-destination "$file" "$root$file"
    done
    apt-config dump --format '%F "%v";%n' | grep -E '^Acquire::(http|https|Check-[A-Za-z-]+)(:|$| )' \
        > "$root/etc/apt/apt.conf.d/99-as-on-the-host" || true
}

[ "$(id -u)" = 0 ] || { echo "it makes a root of a file system, and mounts: run it as root" >&2; exit 1; }
[ -d "$root" ] || make_root
hand_over_access
# The virtual environment of the run before is good for this one, if what it is made from has not changed.
environment_before=$root/root/environment-before
rm -rf "$environment_before"
[ ! -d "$root/root/bluestone/.venv" ] || mv "$root/root/bluestone/.venv" "$environment_before"
rm -rf "$root/root/bluestone"
git clone --quiet --no-hardlinks "$repository" "$root/root/bluestone"
[ ! -d "$environment_before" ] || mv "$environment_before" "$root/root/bluestone/.venv"

environment=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL CI \
    BLUESTONE_TEST_CACHE; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
done

network=bs-release-$$
ip netns add "$network"
slirp4netns --configure --mtu=65520 --netns-type=path "/run/netns/$network" tap0 >/dev/null 2>&1 &
slirp=$!
status=0
# Not `ip netns exec`: that hides /sys/fs/cgroup behind a new /sys.
nsenter --net="/run/netns/$network" unshare --mount --pid --uts --ipc --fork --kill-child -- \
    "$0" "$release" --enter "$root" env -i "${environment[@]}" ./dev "$@" || status=$?
kill "$slirp" 2>/dev/null || true
ip netns del "$network"
exit "$status"
