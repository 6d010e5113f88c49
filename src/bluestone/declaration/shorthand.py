"""Short strings that stand for tables: each reader returns the table, or raises `Fault`."""

from __future__ import annotations

import re
from typing import get_args

from bluestone.declaration.fault import Fault, quoted
from bluestone.model.group import StrategyName

Expanded = dict[str, object]

BASE = r"^[^:]+:[^:]+$"
ROLLOUT = "^(" + "|".join(get_args(StrategyName)) + ")$"
ON_DRIFT = "^(replace|report)$"
HEALTH = "^(tcp|/.*)$"
PORT = r"^((\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?[0-9]{1,5}:[0-9]{1,5}(/(http|tcp))?$"
"""`[BIND:]LISTEN:SERVER[/MODE]`"""


def base(text: str) -> Expanded:
    """`distribution:suite`."""
    if not re.fullmatch(BASE, text):
        raise Fault(
            f"the base {quoted(text)} is no distribution with its suite",
            'write "distribution:suite", such as "debian:trixie"',
        )
    distribution, suite = text.split(":")
    return {"distribution": distribution, "suite": suite}


def file(text: str) -> Expanded:
    """A source's path."""
    return {"source": text}


def webhook(text: str) -> Expanded:
    """The address that events are posted to."""
    return {"address": text}


def hook(text: str) -> Expanded:
    """The directory that a tool works from."""
    return {"directory": text}


def port(text: str) -> Expanded:
    """`8080:80`, `0.0.0.0:8080:80`, `[::1]:8080:80/tcp`."""
    if not re.fullmatch(PORT, text):
        raise Fault(
            f"{quoted(text)} is not a port",
            'write "LISTEN:SERVER", such as "8080:80"; "0.0.0.0:8080:80" and "5432:5432/tcp" are right too',
        )
    numbers, _, mode = text.partition("/")
    *address, listen, server = numbers.rsplit(":", 2)
    table: Expanded = {"listen": int(listen), "server": int(server)}
    if address:
        table["bind"] = address[0].strip("[]")
    if mode:
        table["mode"] = mode
    return table


def health(text: str) -> Expanded:
    """`tcp`, or a path that is asked for by HTTP."""
    if text == "tcp":
        return {}
    if not text.startswith("/"):
        raise Fault(
            f"{quoted(text)} is not a way to check a server's health",
            'write a path that answers 200, such as "/health", or "tcp" for a mere connection',
        )
    return {"path": text}


def volume(text: str) -> Expanded:
    """Where the server sees it."""
    return {"path": text}


def hours(text: str) -> Expanded:
    """When the servers are up."""
    return {"open": text}


def rollout(text: str) -> Expanded:
    """A strategy's name."""
    return {"strategy": text}


def on_drift(text: str) -> Expanded:
    """What follows."""
    return {"then": text}
