"""Files of lines, and what is masked in them. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

import importlib
import re
from typing import Any

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import printable
from bluestone.declaration.texts.paths import absolute

MAX_MASK, MAX_REPEATS = 500, 16


def log_file(text: str) -> str:
    """A file whose lines are shipped; its name may be a pattern."""
    path = absolute(text)
    directory, _, name = path.rpartition("/")
    if re.search(r"[*?]", directory) or not name.strip("*?."):
        raise Fault(
            f"{quoted(text)} is no file whose lines could be shipped",
            'write a whole path; "*" and "?" may stand in its last part, such as "/var/log/app/*.log"',
        )
    return path


def mask(text: str) -> str:
    """A regular expression for what must not leave a server."""
    if len(text) > MAX_MASK:
        raise Fault(f"the rule is {len(text)} characters long", f"use at most {MAX_MASK}, and several rules")
    try:
        pattern = re.compile(text)
        nested = _star_height(_parsed(text)) > 1
    except (re.error, OverflowError, RecursionError) as error:
        raise Fault(
            f"{quoted(text)} is not a regular expression: {error}", "write it as Python's module re does"
        ) from None
    if not printable(text):
        raise Fault(f"{quoted(text)} has a character that cannot be seen", 'write it as an escape, such as "\\t"')
    if pattern.fullmatch("") or pattern.match(""):
        raise Fault(f"{quoted(text)} matches nothing at all, and so everywhere", "say what must be there")
    if nested:
        raise Fault(
            f"{quoted(text)} repeats what repeats, which can take for ever on some lines",
            'write it with one repetition, such as "a+" for "(a+)+"',
        )
    return text


def _parsed(text: str) -> Any:
    # The standard library's own parser: it has no public name since Python 3.11, and no other way in.
    return importlib.import_module("re._parser").parse(text)


def _star_height(parsed: Any) -> int:
    """How deep repetitions without an end are nested in a parsed regular expression."""
    deepest = 0
    for operator, argument in parsed:
        name = str(operator)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, below = argument
            # Up to so many repetitions cost no more than a longer line does.
            deepest = max(deepest, _star_height(below) + (int(most) > MAX_REPEATS))
        elif name == "SUBPATTERN":
            deepest = max(deepest, _star_height(argument[-1]))
        elif name == "BRANCH":
            deepest = max(deepest, *(_star_height(branch) for branch in argument[1]))
        elif name in ("ASSERT", "ASSERT_NOT"):
            deepest = max(deepest, _star_height(argument[1]))
        elif name in ("ATOMIC_GROUP", "POSSESSIVE_REPEAT"):
            continue  # what they matched is never tried again
    return deepest
