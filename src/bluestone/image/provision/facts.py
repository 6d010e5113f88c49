"""What a tool may know of the system that it works on: what the image is, and nothing of the machine that builds it.

Two machines would make two images of one declaration if a template could ask how much memory there is. Pure, but for
`of_tree`.
"""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from bluestone.image.archive import architecture

NAME = "localhost"
"""What an image is called while it is built; a server gets its own name when it starts."""


class Facts(Struct, frozen=True):
    """What an image is: `distribution` as the tools write it (`Debian`), its `release` (`13.2`, `24.04`) and `codename`
    (`trixie`), the `architecture` as Debian calls it (`amd64`), and as the kernel does: `machine` (`x86_64`)."""

    distribution: str
    release: str
    codename: str
    architecture: str
    machine: str

    @property
    def major(self) -> str:
        """The release that stays for years: `13`; `24.04` of Ubuntu, whose second number counts months."""
        return self.release if self.distribution == "Ubuntu" else self.release.partition(".")[0]


def of_tree(root: Path) -> Facts:
    """The facts of a tree, by its own files. Raises `OSError`."""
    told = os_release((root / "usr/lib/os-release").read_text())
    release = told.get("VERSION_ID", "")
    if told.get("ID") == "debian":
        version = root / "etc/debian_version"
        release = version.read_text().strip() if version.is_file() else release
    names = {"debian": "Debian", "ubuntu": "Ubuntu"}
    name = names.get(told.get("ID", ""), told.get("NAME", ""))
    return Facts(name, release, told.get("VERSION_CODENAME", ""), architecture(), platform.machine())


def os_release(text: str) -> dict[str, str]:
    """The variables of a text as os-release(5) describes it."""
    pairs = (line.partition("=")[::2] for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: "".join(shlex.split(value)) for name, value in pairs}


def puppet_facts(facts: Facts) -> dict[str, Any]:
    """The facts that a manifest finds, by Facter's names; the flat ones of old are among them."""
    minor = facts.release.removeprefix(facts.major).lstrip(".")
    release = {"full": facts.release, "major": facts.major} | ({"minor": minor} if minor else {})
    return {
        "os": {
            "name": facts.distribution,
            "family": "Debian",
            "release": release,
            "architecture": facts.architecture,
            "hardware": facts.machine,
            "distro": {
                "id": facts.distribution,
                "codename": facts.codename,
                "description": f"{facts.distribution} {facts.release} ({facts.codename})",
                "release": release,
            },
            "selinux": {"enabled": False},
        },
        "kernel": "Linux",
        "networking": {"hostname": NAME, "fqdn": NAME},
        "identity": {"user": "root", "uid": 0, "group": "root", "gid": 0, "privileged": True},
        "path": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "timezone": "UTC",
        "osfamily": "Debian",
        "operatingsystem": facts.distribution,
        "operatingsystemrelease": facts.release,
        "operatingsystemmajrelease": facts.major,
        "lsbdistid": facts.distribution,
        "lsbdistcodename": facts.codename,
        "lsbdistrelease": facts.release,
        "architecture": facts.architecture,
        "hardwaremodel": facts.machine,
        "hostname": NAME,
        "fqdn": NAME,
    }


def ansible_facts(facts: Facts) -> dict[str, Any]:
    """The facts that a playbook finds, by Ansible's names without `ansible_`."""
    return {
        "system": "Linux",
        "os_family": "Debian",
        "distribution": facts.distribution,
        "distribution_version": facts.release,
        "distribution_major_version": facts.major,
        "distribution_release": facts.codename,
        "lsb": {"id": facts.distribution, "release": facts.release, "codename": facts.codename},
        "architecture": facts.machine,
        "machine": facts.machine,
        "userspace_architecture": facts.machine,
        "hostname": NAME,
        "nodename": NAME,
        "fqdn": NAME,
        "domain": "",
        "service_mgr": "systemd",
        "pkg_mgr": "apt",
        "user_id": "root",
        "user_uid": 0,
        "user_gid": 0,
        "user_dir": "/root",
        "user_shell": "/bin/sh",
        "env": {},
        "local": {},
        "selinux": {"status": "disabled"},
        "python": {"executable": "/usr/bin/python3"},
        "gather_subset": ["all"],
    }


def merged(facts: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """Facts with those that a declaration has in their place; tables are joined."""
    joined = dict(facts)
    for name, value in declared.items():
        known = joined.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        joined[name] = merged(known, value) if both else value  # type: ignore[arg-type]
    return joined
