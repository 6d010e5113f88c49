"""The keys of `[image]`."""

from __future__ import annotations

from typing import Annotated, Literal

from bluestone.declaration import shorthand
from bluestone.declaration.forms import OrShort, Written, WrittenAs
from bluestone.declaration.keys.table import Name, Table, key
from bluestone.declaration.texts import debian, naming, paths, systemd
from bluestone.model.recipe import FindingKind

Target = Annotated[str, Written(paths.target, "absolute path", paths.ABSOLUTE)]


class BaseTable(Table):
    """What an image starts from."""

    distribution: Literal["debian", "ubuntu"] = key("The distribution.", example="debian")
    suite: Annotated[str, Written(debian.suite, "suite", debian.SUITE)] = key(
        "The release of it, by its code name.", example="trixie"
    )
    archive: Annotated[str, Written(debian.archive, "URI", "^(https?|file)://")] | None = key(
        "Where its packages come from. Left out: the archive that this machine's own apt uses.",
        example="https://mirror.example.org/debian",
        default=None,
    )


class ArchiveTable(Table):
    """A signed package archive beside the distribution's own."""

    uri: Annotated[str, Written(debian.archive, "URI", "^(https?|file)://")] = key(
        "Where it is.", example="https://artifacts.example.org/apt"
    )
    suite: Annotated[str, Written(debian.archive_suite, "suite", debian.ARCHIVE_SUITE)] = key(
        "Its suite. Of an archive without components: the path of its index, which ends in `/`.", example="stable"
    )
    components: list[Annotated[str, Written(debian.component, "component", debian.COMPONENT)]] | None = key(
        "Its components. Left out: `main`; none if the suite ends in `/`.", example=["main"], default=None
    )
    key: Annotated[str, Written(paths.source, "path")] = key(
        "A file with the keys that sign it, binary or ASCII-armoured; a relative path begins where bluestone.toml is.",
        example="keys/example.asc",
    )


class FileTable(Table):
    """A file or directory laid over the packages: exactly one of `source` and `content`."""

    source: Annotated[str, Written(paths.source, "path")] | None = key(
        "A file or directory on this machine; a relative path begins where bluestone.toml is.",
        example="site",
        default=None,
    )
    content: str | None = key("The file's text itself.", example="PORT=80\n", default=None)
    mode: Annotated[int, Written(paths.mode, "octal mode", paths.MODE)] | None = key(
        "Permissions in octal. Left out: 0644, and 0755 for what is executable.", example="0644", default=None
    )
    owner: Annotated[str, Written(paths.owner, "user or user:group", paths.OWNER)] = key(
        "Owner on the server, `user` or `user:group`.", example="www-data:www-data", default="root:root"
    )


_KINDS = ("string", "number", "boolean", "array", "object")
Value = Annotated[object, WrittenAs(naming.plain, {"anyOf": [{"type": kind} for kind in _KINDS]})]
Handed = Annotated[str, Written(naming.variable, "name", naming.VARIABLE)]


class PuppetTable(Table):
    """What Puppet applies to the image, after the files are laid and before Ansible and `run`."""

    directory: Annotated[str, Written(paths.source, "path")] = key(
        "A Puppet environment on this machine: `manifests`, `modules`, `hiera.yaml` and the data that it names.",
        example="puppet",
    )
    manifest: Annotated[str, Written(paths.within, "path")] = key(
        "The manifest in it: a file, or a directory whose `.pp` files are applied together.",
        example="manifests/web.pp",
        default="manifests",
    )
    facts: dict[Handed, Value] = key(
        "Facts besides those that every image has, or in their place. Nothing secret: it shows.",
        example={"processors": {"count": 2}},
        default={},
    )


class AnsibleTable(Table):
    """What Ansible plays in the image, after Puppet and before `run`."""

    directory: Annotated[str, Written(paths.source, "path")] = key(
        "A directory on this machine with the playbook, and `roles` and `collections` beside it.", example="ansible"
    )
    playbook: Annotated[str, Written(paths.within, "path")] = key(
        "The playbook in it.", example="web.yml", default="site.yml"
    )
    variables: dict[Handed, Value] = key(
        "Extra variables, which come before all others. Nothing secret: it shows.",
        example={"worker_processes": 2},
        default={},
    )


class WaiverTable(Table):
    """What a build would refuse in the image, and is meant to be there."""

    finding: FindingKind = key("What is waived: the word that the refused build began its line with.", example="setuid")
    path: Annotated[str, Written(paths.waived, "absolute path", paths.WAIVED)] = key(
        "Where: a path on the server. `*` and `?` stand for what is within one directory, `**` for any depth.",
        example="/opt/tool/bin/ping",
    )
    reason: Annotated[str, Written(naming.reason, "sentence")] = key(
        "Why it is right, for whoever reads this next.", example="monitoring sends pings as an ordinary user"
    )


class ImageTable(Table):
    """What goes into the image that all servers are started from."""

    base: Annotated[BaseTable, OrShort(shorthand.base, "distribution:suite", shorthand.BASE)] = key(
        "What the image starts from.", example="debian:trixie"
    )
    packages: list[Annotated[str, Written(debian.package, "package", debian.PACKAGE)]] = key(
        "Packages to install, with what they depend on.", example=["nginx-light"], default=[]
    )
    archives: dict[Name, ArchiveTable] = key(
        "Signed package archives beside the distribution's own, each under a name.",
        example={"tools": {"uri": "https://artifacts.example.org/apt", "suite": "stable", "key": "keys/example.asc"}},
        default={},
    )
    debs: list[Annotated[str, Written(debian.deb, "path of a .deb", debian.DEB)]] = key(
        "Package files to install, with what they depend on: paths below the directory of bluestone.toml.",
        example=["packages/app.deb"],
        default=[],
    )
    files: dict[Target, Annotated[FileTable, OrShort(shorthand.file, "source's path")]] = key(
        "Files laid over the packages: path on the server = path on this machine.",
        example={"/var/www/site": "site"},
        default={},
    )
    units: list[Annotated[str, Written(systemd.unit, "unit", systemd.UNIT)]] = key(
        "systemd units that are started on every server.", example=["nginx.service"], default=[]
    )
    puppet: Annotated[PuppetTable, OrShort(shorthand.hook, "directory's path")] | None = key(
        "What Puppet applies to the image.", example="puppet", default=None
    )
    ansible: Annotated[AnsibleTable, OrShort(shorthand.hook, "directory's path")] | None = key(
        "What Ansible plays in the image.", example="ansible", default=None
    )
    run: list[Annotated[str, Written(systemd.command, "shell command")]] = key(
        "Shell commands run inside the image at the end of its build, without a network.",
        example=["nginx -t"],
        default=[],
    )
    writable: list[Annotated[str, Written(paths.writable, "absolute path", paths.ABSOLUTE)]] = key(
        "Directories that a program writes to: each is in memory, at first with what the image has there. "
        "All else on a server is read-only.",
        example=["/var/lib/nginx", "/var/log/nginx"],
        default=[],
    )
    waivers: list[WaiverTable] = key(
        "What a build refuses in an image (secrets, set-user-id files, open directories, logins) and is meant here.",
        example=[{"finding": "setuid", "path": "/opt/tool/bin/ping", "reason": "monitoring sends pings"}],
        default=[],
    )
    login: Annotated[Literal["none"], Written(systemd.login, "none", "^none$")] = key(
        "Who may log in: nobody, the only choice.", example="none", default="none"
    )
