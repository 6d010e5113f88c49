"""How values become HTML. Everything is escaped: what a line says is text, never markup."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from bluestone import __version__

SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
LONGEST = 20_000
"""Characters of a message that a page shows; the download has all."""

THEMES = ("auto", "light", "dark")


def visible(text: str) -> str:
    """A text in which nothing hides: control characters as their pictures, those that turn the direction as codes.

    Lines could else show something other than what they say.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    code = ord(character)
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "\u2421"
    if unicodedata.category(character) == "Zs":
        return " "
    return f"\u27e8U+{code:04X}\u27e9"


def clock(at: datetime) -> str:
    """A moment in the zone of this machine, to the millisecond."""
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]


def moment(at: datetime) -> str:
    """A moment to the second, in the zone of this machine."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """A moment with its zone, for addresses and machines."""
    return at.astimezone().isoformat()


def tick(at: datetime, span: timedelta) -> str:
    """A moment below an axis that is as long as `span`."""
    local = at.astimezone()
    if span > timedelta(days=3):
        return f"{local:%d %b}" if span < timedelta(days=300) else f"{local:%b %Y}"
    if span > timedelta(hours=20):
        return f"{local:%d %b %H:%M}"
    return f"{local:%H:%M}" if span > timedelta(minutes=10) else f"{local:%H:%M:%S}"


def width(step: timedelta) -> str:
    """How wide a bar is, in words."""
    seconds = int(step.total_seconds())
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    return "second" if seconds == 1 else f"{seconds} seconds"


def number(value: int) -> str:
    """A number that can be read."""
    return f"{value:,}".replace(",", "\u202f")


def severity(value: int | str) -> str:
    """A severity's name."""
    text = str(value)
    return SEVERITIES[int(text)] if text in "01234567" and len(text) == 1 else text


_environment = Environment(
    loader=PackageLoader("bluestone.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    visible=visible, clock=clock, moment=moment, iso=iso, tick=tick, width=width, number=number, severity=severity
)
_environment.globals.update(version=__version__)


def html(template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(_environment.get_template(template).render(**values), status_code)
