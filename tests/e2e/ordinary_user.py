"""What an ordinary user does, in tests that root runs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bluestone.image.sandbox import subordinate_ids

REPOSITORY = Path(__file__).parents[2]
CONTROL_GROUPS = Path("/sys/fs/cgroup")

SESSION = """
set -eu
user=$1 home=$2 group=$3
shift 3
echo 0 > "$group/cgroup.procs"
mkdir -p "$home/.session"
mount -t tmpfs -o mode=755 none "$home/.session"
mkdir -m 700 "$home/.session/run"
chown "$user" "$home/.session/run"
# Where udev runs, everybody may open this device.
if ! runuser -u "$user" -- test -w /dev/net/tun; then
    mknod -m 666 "$home/.session/tun" c 10 200
    mount --bind "$home/.session/tun" /dev/net/tun
fi
# A clone or a Python below /root is there still, with nothing else around it, so that anybody may pass.
hidden=
for path in "$BLUESTONE_REPOSITORY" "$BLUESTONE_PYTHON"; do
    if ! runuser -u "$user" -- test -r "$path/."; then
        hidden="$hidden $path"
        mkdir -p "$home/.session/hidden$path"
        mount --bind "$path" "$home/.session/hidden$path"
    fi
done
for path in $hidden; do
    top=/$(echo "$path" | cut -d / -f 2)
    mountpoint -q "$top" || mount -t tmpfs -o mode=755 none "$top"
    mkdir -p "$path"
    mount --bind "$home/.session/hidden$path" "$path"
done
# What podman expects of a machine.
mount --make-rshared /
runuser -u "$user" -- env -C "$BLUESTONE_REPOSITORY" HOME="$home" XDG_RUNTIME_DIR="$home/.session/run" "$@"
"""
"""Does what a login does for a user, in namespaces of its own: all of it ends with the command."""


@pytest.fixture(scope="module")
def ordinary_user() -> Iterator[tuple[str, Path]]:
    """Somebody who is not root and has subordinate ids, and a directory of theirs."""
    if os.geteuid() != 0:
        pytest.skip("machine: this runs as an ordinary user as it is")
    text = Path("/etc/subuid").read_text() if Path("/etc/subuid").exists() else ""
    users = [user for user in pwd.getpwall() if user.pw_uid >= 1000]
    able = [user.pw_name for user in users if subordinate_ids(text, user.pw_name, user.pw_uid) >= 65535]
    if not able or shutil.which("newuidmap") is None or shutil.which("runuser") is None:
        pytest.skip("machine: no user with subordinate ids exists")
    directory = Path(tempfile.mkdtemp(prefix="bs-", dir="/var/tmp"))
    shutil.chown(directory, able[0])
    try:
        yield able[0], directory
    finally:
        shutil.rmtree(directory)


def run_in_session(user: str, home: Path, *command: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who has logged in; `home` is the user's directory, `timeout` is in seconds.

    The command is run in this repository, and may rely on this Python. Skips the test on a machine that forbids it.
    """
    environment = {"BLUESTONE_REPOSITORY": str(REPOSITORY), "BLUESTONE_PYTHON": sys.base_prefix}
    with delegated_group(user) as group:
        return subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
                *("sh", "-c", SESSION, "session", user, str(home), str(group), *command),
            ],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )


@contextmanager
def delegated_group(user: str) -> Iterator[Path]:
    """A control group that is the user's to divide, as a login makes one where groups are not unified."""
    if (CONTROL_GROUPS / "cgroup.controllers").exists():
        pytest.skip("machine: unified control groups are systemd's to delegate; run the tests as an ordinary user")
    group = CONTROL_GROUPS / "systemd" / f"bs-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as refused:
        pytest.skip(f"machine: mkdir {group}: {refused.strerror}")
    try:
        for path in (group, group / "cgroup.procs", group / "tasks"):
            shutil.chown(path, user)
        yield group
    finally:
        for path in sorted(group.rglob("*/"), reverse=True):
            if path.is_dir():
                path.rmdir()
        group.rmdir()
