"""Fits parsed TOML into the tables of `keys`, and goes on with what is right when something is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from bluestone.declaration.fault import Finding, KeyPath
from bluestone.declaration.keys import DeclarationTable

Toml = dict[str, Any]

REQUIRED: tuple[KeyPath, ...] = (("project",), ("image",), ("image", "base"))
"""The keys that every file must have: where one is missing or wrong, something stands in for it."""


def fit(toml: Toml) -> tuple[DeclarationTable, list[Finding]]:
    """The tables, and what is wrong with their shape.

    What is wrong is left out of the tables returned, so that the rest can still be checked: a person shall
    see all problems at once.
    """
    try:
        return DeclarationTable.model_validate(toml), []
    except ValidationError as error:
        # Imported here: most files are right, and the JSON Schema behind it takes a while to make.
        from bluestone.declaration.explain import explain

        findings = explain(error)
    sound = _without((finding.path for finding in findings), toml)
    return DeclarationTable.model_validate(sound), findings


def _without(paths: Iterable[KeyPath], toml: Toml) -> Toml:
    sound = deepcopy(toml)
    # The deepest first: what lies above is then still there to go through.
    for *above, key in sorted({_wrong_part(path, toml) for path in paths}, key=len, reverse=True):
        table = sound
        for name in above:
            table = table[name]
        table.pop(key, None)
    sound.setdefault("project", "unnamed")
    sound.setdefault("image", {}).setdefault("base", "debian:stable")
    return sound


def _wrong_part(path: KeyPath, toml: Toml) -> tuple[str, ...]:
    """The key to leave out: that at `path`, or the nearest above it that exists; an array as a whole."""
    names = tuple(str(step) for step in takewhile(lambda step: isinstance(step, str), path))
    if path in REQUIRED:
        return names
    below: Any = toml
    for depth, name in enumerate(names):
        if not isinstance(below, dict) or name not in below:
            return names[:depth]
        below = below[name]
    return names
