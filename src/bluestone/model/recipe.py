"""What goes into an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field


class Base(Struct, frozen=True):
    """The distribution that an image starts from.

    `archive` is the URI of its package archive; None means the archive that this host's own apt uses.
    """

    distribution: Literal["debian", "ubuntu"]
    suite: str
    archive: str | None = None


class OverlayFile(Struct, frozen=True):
    """A file or directory laid over the packages.

    `target` is an absolute path on the server. Exactly one of `source` (a file or directory on this machine)
    and `content` (the text itself) is set. `mode` is None to keep 0644 (0755 for what is executable);
    `owner` is `user` or `user:group`, resolved inside the image.
    """

    target: str
    source: Path | None = None
    content: str | None = None
    mode: int | None = None
    owner: str = "root:root"


class Archive(Struct, frozen=True):
    """A signed package archive beside the distribution's own.

    `suite` ends in `/` for an archive without components (then the path of its index). `key` is the keyring on this
    machine that has the keys it is signed with.
    """

    name: str
    uri: str
    suite: str
    components: tuple[str, ...]
    key: Path


class LocalPackage(Struct, frozen=True):
    """A .deb file on this machine; `name` is its path as the declaration has it."""

    name: str
    path: Path


FindingKind = Literal["secret", "setuid", "capability", "world-writable", "login"]
"""What a build refuses in an image, unless it is waived."""


class Waiver(Struct, frozen=True):
    """Findings of a kind that are meant to be in the image, and why.

    `path` is absolute; `*` and `?` in it stand for what is within one directory, `**` for any depth.
    """

    finding: FindingKind
    path: str
    reason: str


class Puppet(Struct, frozen=True):
    """What Puppet applies to an image.

    `directory` is a Puppet environment on this machine: manifests, modules, Hiera's data. `manifest` is a file or
    directory in it. `facts` come beside those that every image has, and before them.
    """

    directory: Path
    manifest: str = "manifests"
    facts: Mapping[str, Any] = field(default_factory=dict)


class Ansible(Struct, frozen=True):
    """What Ansible plays in an image.

    `directory` on this machine has `playbook`, and all that it uses: roles, collections, files. `variables` are
    extra ones, which come before all others.
    """

    directory: Path
    playbook: str = "site.yml"
    variables: Mapping[str, Any] = field(default_factory=dict)


class Recipe(Struct, frozen=True):
    """Everything that decides an image's content.

    `puppet` and `ansible` work on what the packages and files make, in this order; then come `run`, which are shell
    commands. All are run in the root in namespaces of their own, without a network. `writable` are directories that
    are in memory on the otherwise read-only server, beginning with what the image has there.
    """

    base: Base
    packages: tuple[str, ...] = ()
    archives: tuple[Archive, ...] = ()
    debs: tuple[LocalPackage, ...] = ()
    files: tuple[OverlayFile, ...] = ()
    units: tuple[str, ...] = ()
    puppet: Puppet | None = None
    ansible: Ansible | None = None
    run: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    login: Literal["none"] = "none"
