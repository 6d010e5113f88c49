"""Volumes: what a slot keeps when its server is replaced."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class VolumeSpec(Struct, frozen=True):
    """A volume that each server of a group has, as declared.

    `path` is where the server sees it. `size` in bytes is the most that it may hold; None is no limit of its own.
    `owner` (`user` or `user:group`, of the image) gets its top directory; empty: as the image has the directory.
    """

    name: str
    path: str
    size: int | None = None
    owner: str = ""


class Volume(Struct, frozen=True):
    """A volume as a provider reports it. `server` is the one that holds it, whatever its phase; empty if none does.

    `snapshot` is how many bytes its snapshot takes, if it is put away as one now.
    """

    name: str
    group: str
    slot: int
    created_at: datetime
    size: int | None = None
    server: str = ""
    snapshot: int | None = None


def volume_name(group: str, slot: int, name: str) -> str:
    """The name of a slot's volume, such as `web-2.data`. No group's or volume's name has a dot."""
    return f"{group}-{slot}.{name}"
