"""The order of versions, by the rules of each ecosystem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bluestone.model.bom import Ecosystem
from bluestone.patch.versions import debian, go, maven, pypi, semantic

Key = Callable[[str], Any]
"""Version -> what it compares by; raises `ValueError` for what is no version there."""

KEYS: dict[Ecosystem, Key] = {
    "deb": debian.key,
    "pypi": pypi.key,
    "npm": semantic.key,
    "cargo": semantic.key,
    "golang": go.key,
    "maven": maven.key,
}
