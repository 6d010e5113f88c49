"""Names, numbers and plain texts. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching, printable
from bluestone.model.ids import MAX_NAME
from bluestone.model.ids import NAME as _NAME

NAME = f"^{_NAME.pattern}$"
ZONE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
MAX_NUMBER = 2**53
"""Largest whole number that is the same in every reader of JSON (RFC 8259, section 6)."""
AMOUNT = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
ADVISORY = r"^[A-Za-z0-9][A-Za-z0-9._:+~ /-]*$"
"""An advisory's name: `CVE-2026-12345`, `DSA-6001-1`, `openssl 3.5.6-1~deb13u1`."""
_LIKE_NAMES = "use small letters, digits and single hyphens, and begin with a letter"


def name(text: str) -> str:
    """A project's or group's name."""
    if len(text) > MAX_NAME:
        raise Fault(f"the name {quoted(text)} is too long", f"use at most {MAX_NAME} characters")
    return matching(NAME, text, "a name that a host could have", f"{_LIKE_NAMES}, such as web-2")


def provider(text: str) -> str:
    """A provider's name. Which ones there are is not known here."""
    return matching(NAME, text, "a provider's name", f'{_LIKE_NAMES}, such as "podman"')


def zone(text: str) -> str:
    """The name of a provider's zone. Which ones there are is not known here."""
    return matching(ZONE, text, "a zone's name", 'use letters, digits, dots and hyphens, such as "eu-1a"')


def reason(text: str) -> str:
    """Why something is as it is."""
    if not text.strip() or not printable(text):
        raise Fault(f"{quoted(text)} is no reason", "write in one line why it is right, for whoever reads this next")
    return text.strip()


def advisory(text: str) -> str:
    """An advisory's name."""
    return matching(ADVISORY, text, "an advisory's name", 'write it as `bluestone exposures` does: "CVE-2026-12345"')


def plain(value: object) -> object:
    """A value that a tool is handed as it is: text, a number, a boolean, an array or a table."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bool | str) or (isinstance(value, int) and abs(value) <= MAX_NUMBER):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise Fault(f"{quoted(value)} is no value that can be handed on", "write it as a string in quotes")


def variable(text: str) -> str:
    """The name of a variable or secret."""
    return matching(VARIABLE, text, "a variable's name", "use letters, digits and _; begin with no digit")


def environment_value(text: str) -> str:
    """A variable's value: one line."""
    if not printable(text.replace("\t", "")):
        raise Fault("a variable's value has a line break or a control character in it", "write it on one line")
    return text


def amount(text: str) -> Decimal:
    """An amount of money."""
    return Decimal(matching(AMOUNT, text, "an amount of money", 'write it in quotes: "500.00"'))


def argument(text: str) -> str:
    """An argument of a command."""
    if "\0" in text:
        raise Fault(f"{quoted(text)} cannot be an argument", "leave the NUL out")
    return text
