# Writes resolv.conf(5) from what systemd-networkd learnt. In place, as the file is mounted over the image's.
set -eu
state=/run/systemd/netif/state
[ -r $state ] || exit 0
{
    for server in $(sed -n 's/^DNS=//p' $state); do
        echo "nameserver ${server%%#*}"
    done
    domains=$(sed -n 's/^DOMAINS=//p' $state)
    [ -z "$domains" ] || echo "search $domains"
} >/run/bluestone-machine/resolv.conf
