"""Finds permissions that give more than anybody meant to give. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.image.hygiene.finding import Finding
from bluestone.image.tree import Entry

SET_USER, SET_GROUP, STICKY, OTHERS_WRITE = 0o4000, 0o2000, 0o1000, 0o002


def modes(entry: Entry, *, changed: bool) -> Iterator[Finding]:
    """What is wrong with the permissions of an entry; `changed` is whether it is not as the packages brought it."""
    path = f"/{entry.path.decode('utf-8', 'surrogateescape')}"
    mode = f"{entry.mode:04o}"
    if entry.kind == "file" and changed and entry.mode & (SET_USER | SET_GROUP):
        whose = f"user {entry.uid}" if entry.mode & SET_USER else f"group {entry.gid}"
        why = f"mode {mode}: whoever runs it is {whose} meanwhile, and no package brought it so"
        yield Finding("setuid", path, why, f"take the bit away: chmod {entry.mode & 0o777:04o}")
    if entry.kind == "file" and changed and entry.capability:
        why = "it has file capabilities, and no package brought it with them"
        yield Finding("capability", path, why, "take them away: setcap -r; give them in the unit instead")
    if entry.kind in ("file", "fifo") and entry.mode & OTHERS_WRITE:
        yield Finding("world-writable", path, f"mode {mode}: every user may change it", "take it away: chmod o-w")
    if entry.kind == "dir" and entry.mode & OTHERS_WRITE and not entry.mode & STICKY:
        why = f"mode {mode}: every user may put files there and remove those of others"
        yield Finding("world-writable", path, why, "take it away: chmod o-w; or let only owners remove: chmod +t")
