"""Durations, sizes, amounts and cores as people write them.

Each reader takes what stood in the file and returns the model's value, or raises `Fault`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from bluestone.declaration.fault import Fault, quoted
from bluestone.model.group import Amount

_NUMBER = r"[0-9]{1,7}(\.[0-9]{1,6})?"
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}

DURATION = "^" + "".join(f"({_NUMBER} ?{unit} ?)?" for unit in _UNITS) + "$"
"""Numbers with units, the largest first: `1h30m`, `500ms`, `1.5s`."""

SIZE = r"^[0-9]{1,12}(\.[0-9]{1,6})? ?([kKmMgGtT]([iI]?[bB])?|[bB])$"
"""A number with a unit: `256MiB`, `1GB`, `512k`."""

PERCENTAGE = r"^(100|[1-9]?[0-9]) ?%$"
"""A whole percentage from 0 to 100."""

MAX_AMOUNT = 1000
"""Most servers of a group, and so the most that any amount of servers can mean."""

MAX_CPUS = 1024
MIN_CPUS = 0.01
"""The least that podman-run(1) grants with --cpus."""


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h30m`, `500ms`, `2d`: units d, h, m, s and ms, each once, the largest first."""
    if not text.strip() or not re.fullmatch(DURATION, text):
        raise Fault(f"{quoted(text)} is not a duration", 'write a number with a unit: "500ms", "90s", "1h30m"')
    parts = re.findall(rf"({_NUMBER}) ?(ms|[dhms])", text)
    return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, _, unit in parts), timedelta())


def within(text: str) -> timedelta | None:
    """A duration that is more than nothing; None for `upgrade`, which is whenever there is an upgrade."""
    if text == "upgrade":
        return None
    value = duration(text)
    if not value:
        raise Fault(f"{quoted(text)} is out of bounds", 'choose a duration that can be kept to, such as "3d"')
    return value


def duration_between(low: str, high: str) -> Callable[[str], timedelta]:
    """A reader of durations from `low` to `high`."""
    least, most = duration(low), duration(high)

    def read(text: str) -> timedelta:
        value = duration(text)
        if not least <= value <= most:
            raise Fault(f"{quoted(text)} is out of bounds", f"choose a duration from {low} to {high}")
        return value

    return read


def size(text: str) -> int:
    """A size in bytes. `kB`, `MB`, `GB` count in thousands (SI); `KiB`, `MiB` and bare `k`, `m` in 1024s.

    The bare letters mean what they mean to podman-run(1) and systemd.resource-control(5).
    """
    if not re.fullmatch(SIZE, text):
        raise Fault(f"{quoted(text)} is not a size", 'write a number with a unit: "256MiB", "1GB", "512k"')
    number, letters = re.split(r" ?(?=[a-zA-Z])", text, maxsplit=1)
    unit = letters.lower()
    if unit == "b":
        return int(float(number))
    step = 1000 if len(unit) == 2 else 1024
    return int(float(number) * step ** ("kmgt".index(unit[0]) + 1))


def size_between(low: str, high: str) -> Callable[[str], int]:
    """A reader of sizes from `low` to `high`, in bytes."""
    least, most = size(low), size(high)

    def read(text: str) -> int:
        value = size(text)
        if not least <= value <= most:
            raise Fault(f"{quoted(text)} is out of bounds", f"choose a size from {low} to {high}")
        return value

    return read


def amount(value: object) -> Amount:
    """A number of servers, or a percentage of the group's count: `1`, `"25%"`."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= MAX_AMOUNT:
            return Amount(value)
        raise Fault(f"{quoted(value)} is not a number of servers", f"choose a number from 0 to {MAX_AMOUNT}")
    if isinstance(value, str) and re.fullmatch(PERCENTAGE, value):
        return Amount(int(value.rstrip(" %")), percent=True)
    raise Fault(
        f"{quoted(value)} is neither a number of servers nor a percentage from 0% to 100%",
        'write a whole number such as 1, or a percentage such as "25%"',
    )


def cpus(value: object) -> float:
    """A number of cores; parts of one are allowed: `2`, `0.5`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if MIN_CPUS <= value <= MAX_CPUS:
            return float(value)
        raise Fault(f"{quoted(value)} is not a number of cores", f"choose a number from {MIN_CPUS} to {MAX_CPUS}")
    raise Fault(f"{quoted(value)} is not a number of cores", "write a number without quotes: 2 or 0.5")
