"""Finds what is impossible in the sizes and zones in which a group's servers may be had."""

from __future__ import annotations

from collections.abc import Iterator

from bluestone.declaration.fault import Fault, Finding, KeyPath
from bluestone.declaration.keys import GroupTable

ON_THIS_MACHINE = ("podman", "qemu")
"""Providers whose servers run here: there are no zones to choose from."""


def check_room(group: GroupTable, at: KeyPath) -> Iterator[Finding]:
    """Everything that is wrong with `fallback` and `zones`."""
    here: KeyPath = (*at, "fallback")
    if group.fallback and group.resources.memory is None and group.resources.cpus is None:
        fault = Fault("servers without limits have room wherever there is some", "add resources, or leave fallback out")
        yield Finding(here, fault, ((*at, "resources"),))
    sizes = [group.resources]
    for index, size in enumerate(group.fallback):
        if size in sizes:
            yield Finding((*here, index), Fault("this size was tried before it comes to it", "leave it out"))
        sizes.append(size)
        if group.provider == "qemu" and size.cpus is not None and not size.cpus.is_integer():
            fault = Fault(f"a virtual machine has whole processors, not {size.cpus:g}", f"write {int(size.cpus) + 1}")
            yield Finding((*here, index, "cpus"), fault, ((*at, "provider"),))
    if group.zones and group.provider in ON_THIS_MACHINE:
        fault = Fault(f"{group.provider} runs servers on this machine, which has no zones", "leave zones out")
        yield Finding((*at, "zones"), fault, ((*at, "provider"),))
    for index, zone in enumerate(group.zones):
        if zone in group.zones[:index]:
            yield Finding((*at, "zones", index), Fault(f"the zone {zone} stands there twice", "leave one out"))
