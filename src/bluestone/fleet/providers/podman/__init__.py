"""Servers as podman system containers on this machine."""

from bluestone.fleet.providers.podman.provider import Podman

__all__ = ["Podman"]
