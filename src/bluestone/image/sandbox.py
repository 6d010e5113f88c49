"""Encloses commands, so that what they mount and start ends with them. Argument lists as data.

There are two walls. `enclosed` is around each of bluestone's own workers: it may see this machine, but leaves neither
a mount nor a process behind. `inside` is around each command of a recipe, within the first: it sees the tree alone.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

from bluestone.host.commands import require
from bluestone.model.problem import Problem

SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))

NEEDED_IDS = 65535
"""Ids besides root's that a tree may use: all of 16 bits, as Debian's `nobody` is 65534."""

KEPT = (
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "net_bind_service",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
)
"""Capabilities (capabilities(7)) that a command in a tree keeps: root over the tree, and no way out of it."""

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_OFFLINE": "1",
}
"""All that a command in a tree knows of the world."""

MOUNTS = Path(__file__).with_suffix(".fstab")
"""What is mounted in a tree: all at once, since each program that is started on the way in counts."""

ENTER = """
set -eu
root=$1
mounts=$2
shift 2
hostname localhost
mount -t tmpfs -o nosuid,noexec,mode=755,size=64m none "$root/dev"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
for device in null zero full random urandom; do : > "$root/dev/$device"; done
mount --all --fstab "$mounts" --target-prefix "$root"
exec chroot "$root" "$@"
"""
"""Makes the tree's own /proc and /dev, then goes inside. They vanish with the mount namespace."""


def enclosed(command: Sequence[str], *, root: bool | None = None) -> list[str]:
    """A command in PID and mount namespaces of its own; without `root`, in a user namespace where it is root.

    Its processes are killed when the thread that started it ends, however that ends (PR_SET_PDEATHSIG): no
    mount and no process survives a build that was killed. `root` is whether we are root; None to ask.
    """
    root = os.geteuid() == 0 if root is None else root
    # podman maps ids in the same way (root is the caller, 1 the first subordinate id): the trees are its to use.
    users = [] if root else ["--map-root-user", "--map-auto"]
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", *users, "--fork", "--kill-child", "--pid", "--mount", "--"),
        *command,
    ]


def inside(root: Path, command: Sequence[str], environment: dict[str, str] | None = None) -> list[str]:
    """A command run in the tree at `root` as its root, cut off from everything else. To be used in `enclosed`.

    Its own processes, mounts, host name, and no network. When it ends, all that it started ends with it.
    """
    variables = ENVIRONMENT | (environment or {})
    return [
        *("unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--"),
        *("sh", "-c", ENTER, "enter", str(root), str(MOUNTS)),
        # By its place in the tree: the caller's PATH names places of this machine.
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())),
        *("setpriv", "--no-new-privs", f"--bounding-set=-all,{','.join(f'+{name}' for name in KEPT)}", "--"),
        *command,
    ]


def require_namespaces() -> None:
    """Raise `Problem` if this user cannot be root in a namespace of its own."""
    for tool in ("setpriv", "unshare"):
        require(tool)
    if os.geteuid() == 0:
        return
    require("newuidmap")
    user, uid = getpass.getuser(), os.geteuid()
    for path in SUBORDINATE:
        if subordinate_ids(_read(path), user, uid) < NEEDED_IDS:
            raise Problem(
                f"{path} gives the user {user} fewer than {NEEDED_IDS} ids, which the files of an image need",
                mend=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
            )


def subordinate_ids(text: str, user: str, uid: int) -> int:
    """How many ids the first range of a user has, in a text as subuid(5) describes it; 0 if it has none."""
    for line in text.splitlines():
        name, _, rest = line.strip().partition(":")
        count = rest.rpartition(":")[2]
        if name in (user, str(uid)) and count.isdigit():
            return int(count)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
