"""What a request's address asks for, bounded; and addresses that ask for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app.logs.browse import Mark
from bluestone.app.logs.logs import Asked
from bluestone.declaration.fault import Fault
from bluestone.declaration.quantities import duration
from bluestone.model.problem import Problem

LONGEST = 4000
"""Characters of a value; the query language has the same bound."""

USUAL, MOST = 100, 10_000
"""Lines of a page."""

FIELD = re.compile(r"[A-Za-z_@][\w@./-]{0,199}")
"""Names of fields that the query language can say."""

WORDS = ("q", "target", "since", "until", "severity")
"""What narrows the lines; everything else is how they are shown."""


class Search(Struct, frozen=True):
    """A search as an address has it. All are what a person wrote; empty is not asked for."""

    q: str = ""
    target: str = ""
    since: str = ""
    until: str = ""
    severity: str = ""
    before: str = ""
    size: int = USUAL
    open: str = ""

    @property
    def asked(self) -> Asked:
        """For the use cases."""
        return Asked(
            self.target or None, self.q, self.since or None, self.until or None, None, self.severity or None, None
        )

    @property
    def mark(self) -> Mark | None:
        """Where the page begins. Raises `Problem`."""
        return Mark.parse(self.before) if self.before else None

    @property
    def words(self) -> dict[str, str]:
        """What narrows the lines, as it was written."""
        return {name: value for name in WORDS if (value := getattr(self, name))}

    def link(self, path: str = "/logs", **changes: str) -> str:
        """The address of this search with some of it changed; pages begin anew."""
        other: Search = replace(self, **{"before": "", **changes})
        shown = {**other.words, "since": other.since, "before": other.before, "open": other.open}
        shown = {name: value for name, value in shown.items() if value or name == "since"}
        if other.size != USUAL:
            shown["size"] = str(other.size)
        return f"{path}?{urlencode(shown)}"

    def narrowed(self, field: str, value: str, *, without: bool = False) -> str:
        """The address of this search for lines only that have (or have not) a field's value."""
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        leaf = f"{'NOT ' if without else ''}{field}:={quoted}"
        before = f"({self.q})" if re.search(r"\bOR\b", self.q) else self.q
        return self.link(q=f"{before} {leaf}".strip())


def search_of(parameters: Mapping[str, str], usual_since: str = "") -> Search:
    """What an address asks for. `usual_since` stands where it says nothing. Raises `Problem`."""
    found: dict[str, Any] = {"since": usual_since}
    for name in (*WORDS, "before", "open"):
        if name in parameters:
            found[name] = bounded(name, parameters[name].strip())
    if parameters.get("size"):
        found["size"] = number("size", parameters["size"], 1, MOST)
    return Search(**found)


def bounded(name: str, value: str) -> str:
    """A value that is short enough. Raises `Problem`."""
    if len(value) > LONGEST:
        raise Problem(f"{name} has {len(value)} characters; at most {LONGEST} are taken", mend="ask for less")
    return value


def number(name: str, value: str, least: int, most: int) -> int:
    """A number between bounds. Raises `Problem`."""
    if not re.fullmatch(r"\d{1,9}", value) or not least <= int(value) <= most:
        raise Problem(f'{name} is "{value[:80]}"', mend=f"give a number from {least} to {most}")
    return int(value)


def field_of(parameters: Mapping[str, str]) -> str:
    """The field that is asked for. Raises `Problem`."""
    name = parameters.get("field", "")
    if not FIELD.fullmatch(name):
        raise Problem(f'"{name[:80]}" is no name of a field', mend="name one: field=severity")
    return name


def step_of(parameters: Mapping[str, str]) -> timedelta | None:
    """How wide bars are to be; None for what suits. Raises `Problem`."""
    if not (text := parameters.get("step", "")):
        return None
    try:
        step = duration(text[:80])
    except Fault as fault:
        raise Problem(f"step: {fault.what}", mend=fault.mend) from fault
    if step < timedelta(seconds=1):
        raise Problem("bars are at least a second wide", mend="write it like 30s, 5m or 1d")
    return step
