"""What is wrong with a value, before anyone knows in which line it stands."""

from __future__ import annotations

import json
import re
from datetime import date, time

from msgspec import Struct

KeyPath = tuple[str | int, ...]
"""A place in the parsed text: table keys, and indexes (from 0) into arrays."""

SHOWN = 80
"""Longest value that is quoted whole in a sentence, in characters."""


class Fault(ValueError):
    """A value that cannot be taken: what is wrong with it and how to mend it.

    `hidden` keeps the offending line out of what is shown, since it may hold a secret.
    """

    def __init__(self, what: str, mend: str = "", *, hidden: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.hidden = hidden


class Finding(Struct, frozen=True):
    """A fault and the key that it belongs to.

    `rests_on` are the keys that it was concluded from: when one of them is wrong itself, nothing follows.
    `meant` is the key that was probably meant where an unknown one stands.
    """

    path: KeyPath
    fault: Fault
    rests_on: tuple[KeyPath, ...] = ()
    meant: KeyPath | None = None


def quoted(value: object) -> str:
    """A value as it is written in TOML, on one line, cut when it is long."""
    text = _written(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def upwards(path: KeyPath) -> list[KeyPath]:
    """A path and those above it, the longest first."""
    return [path[:length] for length in range(len(path), 0, -1)]


def dotted(path: KeyPath) -> str:
    """A path as a person reads it: `servers.web.ports[0]`, `image.files."/etc/motd"`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{_key(step)}"
    return text.lstrip(".")


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_written(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_written(each) for each in value) + "]"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"a number of more than {SHOWN} digits"  # Python refuses to write out very long ones
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _written(name)
