"""What makes a server immutable and closed: laid into every image, whatever its recipe says. Data alone."""

from __future__ import annotations

from bluestone.model.recipe import OverlayFile

PACKAGES = ("dbus", "systemd-sysv")
"""What every server needs besides what its recipe names: an init, and the bus by which it is asked things."""

MASKED = (
    # What would change the server in place, or keep house for it.
    "apt-daily.service",
    "apt-daily.timer",
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "apt-news.service",
    "dpkg-db-backup.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "esm-cache.service",
    "fstrim.timer",
    "man-db.service",
    "man-db.timer",
    "motd-news.timer",
    "packagekit.service",
    "ua-timer.timer",
    "unattended-upgrades.service",
    # What would let somebody in.
    "autovt@.service",
    "console-getty.service",
    "container-getty@.service",
    "getty@.service",
    "getty-static.service",
    "getty.target",
    "serial-getty@.service",
    "debug-shell.service",
    "emergency.service",
    "rescue.service",
    "ssh.service",
    "ssh.socket",
    "ssh@.service",
    "sshd.service",
    "dbus-org.freedesktop.login1.service",
    "systemd-logind.service",
    "systemd-user-sessions.service",
    # What would ask somebody something, at first boot or later, or write to the read-only root.
    "ldconfig.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    # There is no journal on a disk to flush to.
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-remount-fs.service",
    "systemd-update-done.service",
)
"""Units that can never be started on a server."""

MASKED_GENERATORS = (
    # What would let somebody in, or run what a kernel's command line says.
    "systemd-debug-generator",
    "systemd-getty-generator",
    "systemd-run-generator",
    "systemd-ssh-generator",
    # What a server has no use for: each would be run at every boot.
    "systemd-gpt-auto-generator",
    "systemd-hibernate-resume-generator",
    "systemd-system-update-generator",
    "systemd-tpm2-generator",
)
"""Generators (systemd.generator(7)) that make no units on a server."""

LOGIN_PROGRAMS = (
    "/usr/sbin/dropbear",
    "/usr/sbin/in.rlogind",
    "/usr/sbin/in.rshd",
    "/usr/sbin/in.telnetd",
    "/usr/sbin/sshd",
    "/usr/sbin/telnetd",
    "/usr/sbin/tinysshd",
)
"""Programs that no image may hold, also where a package brings them in unasked."""

NOT_IN_A_CONTAINER = (
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
)
"""Units whose work the container engine has done already: address, resolver, clock, devices."""

HALT = """\
# A container has nothing to unmount, but systemd would start a program for each of its mounts, which takes longer than
# all the rest of its end. So it is ended as soon as every service has stopped, the one that ships the journal last.
[Unit]
Description=End at once when all services have stopped
ConditionVirtualization=container
DefaultDependencies=no
After=local-fs.target
Before=bluestone-shipper.service sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
# SIGRTMIN+13 to the init: halt now (systemd(1)).
ExecStop=-/bin/sh -c 'kill -47 1'
"""

ENVIRONMENT_GENERATOR = """\
#!/bin/sh
# Every unit gets the variables that the server was handed at its start.
[ ! -r /run/bluestone/environment ] || cat /run/bluestone/environment
"""

JOURNAL = """\
# In memory and bounded; what is worse than a warning goes to the console as well.
[Journal]
Storage=volatile
RuntimeMaxUse=64M
ForwardToConsole=yes
MaxLevelConsole=err
"""

FIRST_CLUSTER = """\
#!/bin/sh
# The data of a PostgreSQL cluster is a server's, not its image's: it is made where there is none yet.
set -eu
version=${1%%-*} name=${1#*-}
data=$(sed -n "s/^data_directory *= *'\\([^']*\\)'.*/\\1/p" "/etc/postgresql/$version/$name/postgresql.conf")
[ -n "$data" ] && [ ! -e "$data/PG_VERSION" ] || exit 0
install -d -o postgres -g postgres -m 700 "$data"
exec runuser -u postgres -- "/usr/lib/postgresql/$version/bin/initdb" --no-instructions \\
    --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 "$data"
"""

WRITABLE_LIST = "/usr/lib/bluestone/writable"
"""The directories that the recipe makes writable, one a line: so the image's digest covers them as well."""

FILES = (
    OverlayFile(
        "/usr/lib/systemd/system-environment-generators/50-bluestone",
        content=ENVIRONMENT_GENERATOR,
        mode=0o755,
    ),
    OverlayFile("/usr/lib/systemd/journald.conf.d/40-bluestone.conf", content=JOURNAL),
    OverlayFile("/usr/lib/bluestone/first-cluster", content=FIRST_CLUSTER, mode=0o755),
    OverlayFile(
        "/usr/lib/systemd/system/postgresql@.service.d/50-bluestone.conf",
        content="[Service]\nExecStartPre=/usr/lib/bluestone/first-cluster %i\n",
    ),
    OverlayFile("/usr/lib/systemd/system/bluestone-halt.service", content=HALT),
    *(
        OverlayFile(
            f"/usr/lib/systemd/system/{unit}.d/50-bluestone.conf",
            content="[Unit]\nConditionVirtualization=!container\n",
        )
        for unit in NOT_IN_A_CONTAINER
    ),
)
"""Laid beneath the recipe's own files, which may replace them."""

LEFT_OUT = ("./dev/*", "./usr/share/info/*", "./usr/share/locale/*", "./usr/share/man/*")
"""Not unpacked from the base: devices, which are the container engine's to make, and what only people read."""

EMPTIED = ("root", "run", "tmp", "var/tmp")
"""Directories that an image brings empty."""

EMPTIED_OF_FILES = ("var/backups", "var/cache", "var/lib/apt/lists", "var/log")
"""Directories whose subdirectories stay, with their owners, as programs expect them."""

REMOVED = (
    # Of the host, or of the day of the build.
    "etc/.pwd.lock",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/hostname",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "usr/sbin/policy-rc.d",
    "var/lib/apt/extended_states",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    # Differs from build to build, and is never booted: a disk gets a small one of bluestone's own.
    "boot/initrd.img-*",
    "initrd.img",
    "initrd.img.old",
    # Identities: alike on all servers of the image, they would be worth nothing.
    "etc/ssh/ssh_host_*",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
)
"""Files that no image may hold (patterns, from the root)."""

LINKS = {
    **{f"/etc/systemd/system/{unit}": "/dev/null" for unit in MASKED},
    **{f"/etc/systemd/system-generators/{name}": "/dev/null" for name in MASKED_GENERATORS},
    "/etc/systemd/system/default.target": "/usr/lib/systemd/system/multi-user.target",
    "/etc/systemd/system/sysinit.target.wants/bluestone-halt.service": "/usr/lib/systemd/system/bluestone-halt.service",
    # Its socket starts it for the first who needs it.
    "/etc/systemd/system/multi-user.target.wants/dbus.service": "/dev/null",
    # systemd-tmpfiles would make it at every boot, on a read-only file system.
    "/var/lib/dbus/machine-id": "/etc/machine-id",
}
"""Links that every image has, and where they lead."""

EMPTY_FILES = {"etc/machine-id": 0o444, "etc/resolv.conf": 0o644}
"""Files, with their modes, that are there for the provider or systemd to lay theirs over, and say nothing."""
