"""Servers as virtual machines on this machine."""

from bluestone.fleet.providers.qemu.commands import GATEWAY, Media
from bluestone.fleet.providers.qemu.ends import follow
from bluestone.fleet.providers.qemu.provider import Qemu

__all__ = ["GATEWAY", "Media", "Qemu", "follow"]
