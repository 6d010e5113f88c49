"""How log lines are kept, as declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class LogKeeping:
    """For how long, and in how many bytes of disk; `groups` have an age of their own. None is without a limit."""

    keep: timedelta | None = None
    size: int | None = None
    groups: Mapping[str, timedelta] = field(default_factory=dict)
