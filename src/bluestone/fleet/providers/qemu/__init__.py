"""Servers as virtual machines on this machine."""

from bluestone.fleet.providers.qemu.commands import Media
from bluestone.fleet.providers.qemu.provider import Qemu

__all__ = ["Media", "Qemu"]
