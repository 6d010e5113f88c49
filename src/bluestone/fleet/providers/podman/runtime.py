"""How podman must be called on this machine: found out, not configured."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from msgspec import Struct

from bluestone.model.problem import MissingTool, Problem

CAP_SYS_NICE = 23
CAP_SYS_RESOURCE = 24
"""Bits of the capabilities (linux/capability.h) that let a process raise its priority and its limits."""

MOST_FILES = 1 << 20
"""Open files that a server's processes may have; what podman itself gives on an ordinary machine."""

SHARES = 4096
"""What a server weighs against one process (1024) where nothing else divides the processors.

podman would have all servers together weigh as much as one process: on a busy machine one took three times as long to
boot (measured)."""

HURRY = -10
"""What is added to the niceness of calls to podman. A replacement is some ten of them, and where all processors are
taken they must not wait for the load on the servers that they replace."""

Cgroups = Literal["unified", "hybrid", "legacy"]


class Machine(Struct, frozen=True):
    """What decides how podman must be called.

    `delegated` says whether this process may divide its control group, `tunnels` whether it may open
    `/dev/net/tun`. `files` and `processes` are the most that it may allow itself (RLIMIT_NOFILE and
    RLIMIT_NPROC), `pid_max` is the kernel's highest process id. `slices` says whether systemd runs the machine, and
    so shares out its processors.
    """

    root: bool
    may_raise_limits: bool
    cgroups: Cgroups
    runc: bool
    delegated: bool
    tunnels: bool
    files: int
    processes: int
    pid_max: int
    slices: bool = True


class Runtime(Struct, frozen=True):
    """`options` of `podman run`.

    `rootless`: a server's own network cannot be reached from this machine. `limits`: memory and cpus can be limited.
    `hurry` is what is added to the niceness of podman's calls.
    """

    rootless: bool
    options: tuple[str, ...] = ()
    limits: bool = True
    hurry: int = 0


def choose_runtime(machine: Machine, hurry: int = 0) -> Runtime:
    """What an ordinary machine needs is podman's own choice: nothing.

    Raises `Problem` for a machine on which servers cannot run, and `MissingTool`.

    crun up to 1.8 (Debian 12) refuses hybrid control groups; runc does not. Without CAP_SYS_RESOURCE podman's
    own limits cannot be set, so ours are those that can. podman 4 lowers its own limit of processes to
    `pid_max` first, so more than that is refused as well.
    """
    if not machine.root:
        _check_rootless(machine)
    options: list[str] = []
    if machine.cgroups == "hybrid":
        if not machine.runc:
            raise MissingTool("runc", "runc")
        options += ["--runtime", "runc"]
    if machine.root and not machine.may_raise_limits:
        files = min(machine.files, MOST_FILES)
        processes = min(machine.processes, machine.pid_max)
        options += ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]
    if machine.root and machine.cgroups != "unified" and not machine.slices:
        options += ["--cgroup-parent", "/", "--cpu-shares", str(SHARES)]
    # podman ignores limits that it is given without root unless control groups are unified: it only warns.
    limits = machine.root or machine.cgroups == "unified"
    return Runtime(not machine.root, tuple(options), limits, hurry)


def _check_rootless(machine: Machine) -> None:
    if not machine.delegated:
        raise Problem(
            f"servers cannot run without root here: this machine's control groups are {machine.cgroups} and "
            "not delegated to you, and a server's systemd needs one of its own",
            mend="run bluestone as root, or boot with systemd.unified_cgroup_hierarchy=1 and log in anew",
        )
    if not machine.tunnels:
        raise Problem(
            "servers cannot be reached without root here: podman's rootless network needs /dev/net/tun, "
            "which you may not open",
            mend="run bluestone as root, or as root: modprobe tun && chmod 0666 /dev/net/tun",
        )


def this_machine() -> Machine:
    """Look at the machine that this process runs on."""
    return Machine(
        root=os.geteuid() == 0,
        may_raise_limits=bool(_effective_capabilities(_status()) >> CAP_SYS_RESOURCE & 1),
        cgroups=_cgroups(Path("/sys/fs/cgroup")),
        runc=shutil.which("runc") is not None,
        delegated=_delegated(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup").read_text()),
        tunnels=os.access("/dev/net/tun", os.R_OK | os.W_OK),
        files=_highest(resource.RLIMIT_NOFILE),
        processes=_highest(resource.RLIMIT_NPROC),
        pid_max=int(Path("/proc/sys/kernel/pid_max").read_text()),
        slices=Path("/run/systemd/system").is_dir(),  # sd_booted(3)
    )


@cache
def hurry() -> int:
    """The niceness for calls to podman: 0 where this process may not raise its priority."""
    return HURRY if _effective_capabilities(_status()) >> CAP_SYS_NICE & 1 else 0


def _status() -> Mapping[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _effective_capabilities(status: Mapping[str, str]) -> int:
    return int(status["CapEff"], 16)


def _cgroups(mount: Path) -> Cgroups:
    if (mount / "cgroup.controllers").exists():
        return "unified"
    return "hybrid" if (mount / "unified").is_dir() else "legacy"


def _delegated(mount: Path, groups: str) -> bool:
    """Whether this process may make groups below its own, or podman can have systemd make one (unified).

    `groups` is the text of /proc/self/cgroup (cgroups(7)).
    """
    if _cgroups(mount) == "unified":
        return True
    own = next((line for line in groups.splitlines() if ":name=systemd:" in line), None)
    return own is not None and os.access(mount / "systemd" / own.split(":", 2)[2].lstrip("/"), os.W_OK)


def _highest(limit: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return MOST_FILES if hard == resource.RLIM_INFINITY else hard
