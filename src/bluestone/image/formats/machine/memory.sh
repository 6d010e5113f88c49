# Lays memory over what must be writable, each beginning with what the image has there. Runs inside the image, so that
# links lead where they would lead on the server.
set -eu
here=/run/bluestone-machine
mkdir -p "$here/new"

# $1: a directory, $2: its size. Owner and mode are the image's.
lay() {
    mkdir -p "$1" 2>/dev/null || return 0
    options=$(stat -c 'mode=%a,uid=%u,gid=%g' "$1")
    mount -t tmpfs -o "nosuid,nodev,noexec,size=$2,$options" tmpfs "$here/new"
    cp -a "$1/." "$here/new/"
    mount -o move "$here/new" "$1"
}

# Sorted, so that what is above comes first; of two sizes of one directory, the machine's own.
{
    cat "$here/memory.list"
    if [ -r /usr/lib/bluestone/writable ]; then
        sed 's,/*$,,; s,^,256m ,' /usr/lib/bluestone/writable
    fi
} | awk '{ path = substr($0, length($1) + 2) } path != "" && !(path in known) { known[path]; print path "\t" $1 }' |
    sort >"$here/all"
while IFS="$(printf '\t')" read -r path size; do
    lay "$path" "$size"
done <"$here/all"

if [ -s /run/bluestone/machine-id ]; then
    mount -o bind /run/bluestone/machine-id /etc/machine-id
fi
: >"$here/resolv.conf"
if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; then
    mount -o bind "$here/resolv.conf" /etc/resolv.conf
fi
