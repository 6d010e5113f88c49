"""Why a pin is left to a person."""

from __future__ import annotations


class LeftAlone(Exception):
    """A pin that may be raised by the declaration, and cannot rightly be; the text says why."""
