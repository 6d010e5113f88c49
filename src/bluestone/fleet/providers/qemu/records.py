"""What is written down of a server before it is started, and what that and its process say of it. Pure.

The record is the source of truth, as the labels of a container are: whatever bluestone must know of a server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, Phase, Server, ServerSpec

PANIC = re.compile(r"Kernel panic - .*")
POWERED_OFF = re.compile(r"reboot: (Power down|System halted|Restarting system)")


class Record(msgspec.Struct, frozen=True):
    """One server. `ports` maps the server's own ports to those of this machine's loopback; `boot` is the
    machine's boot id (random(4)) at the time."""

    project: str
    name: str
    group: str
    slot: int
    incarnation: int
    generation: int
    image: str
    config: str
    created_at: datetime
    ports: dict[int, int]
    boot: str
    format: Literal[1] = 1


def record_of(spec: ServerSpec, ports: dict[int, int], now: datetime, boot: str) -> Record:
    """What is written down of a server."""
    return Record(
        project=spec.project,
        name=spec.name,
        group=spec.group,
        slot=spec.slot,
        incarnation=spec.incarnation,
        generation=spec.generation.number,
        image=spec.generation.image,
        config=spec.generation.config.digest(),
        created_at=now,
        ports=ports,
        boot=boot,
    )


def write(record: Record) -> bytes:
    """The record as JSON."""
    return msgspec.json.format(msgspec.json.encode(record))


def read(content: bytes, where: str) -> Record:
    """A record again. Raises `Problem` if it is none."""
    try:
        return msgspec.json.decode(content, type=Record)
    except msgspec.DecodeError as error:
        raise Problem(
            f"the record of a server cannot be understood: {where}: {error}",
            mend="use the bluestone that wrote it; if no QEMU runs for it, remove its directory",
        ) from error


def server_of(record: Record, phase: Phase, detail: str = "") -> Server:
    """The server that a record is about."""
    return Server(
        name=record.name,
        group=record.group,
        slot=record.slot,
        incarnation=record.incarnation,
        generation=record.generation,
        image=Digest(record.image),
        config=Digest(record.config),
        phase=phase,
        created_at=record.created_at,
        endpoint=Endpoint("127.0.0.1", dict(record.ports)) if record.ports else None,
        detail=detail,
    )


def how_it_ended(record: Record, boot: str, said: str, console: Sequence[str]) -> str:
    """A sentence for a person: from QEMU's own last words (`said`), else from the console's last lines.

    QEMU says nothing when its guest powers off, and cannot when it is killed.
    """
    if boot != record.boot:
        return "this machine was started again since"
    if said:
        return f"QEMU ended: {said.splitlines()[-1]}"
    for line in reversed(console):
        if found := PANIC.search(line):
            return f"its kernel panicked: {found[0]}"
        if POWERED_OFF.search(line):
            return "it powered itself off"
    last = f" (the last line on its console: {console[-1]})" if console else ""
    return f"QEMU was killed, by somebody or for want of memory, or its guest reset itself{last}"
