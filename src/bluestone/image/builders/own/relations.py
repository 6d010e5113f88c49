"""Which packages must come before which (deb-control(5), "Package Relationships"). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

Fields = Mapping[str, str]
_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


class Relations:
    """Packages by name, and what each needs of the others."""

    def __init__(self, packages: Mapping[str, Fields]) -> None:
        self.packages = packages
        self.providers: dict[str, list[str]] = {}
        for name, fields in packages.items():
            for each in [name, *(word for group in _names(fields.get("Provides", "")) for word in group)]:
                self.providers.setdefault(each, []).append(name)

    def needs(self, name: str, *fields: str) -> set[str]:
        """The packages that one names in its fields: of alternatives, all that are there."""
        said = ", ".join(self.packages[name].get(field, "") for field in fields)
        found = {who for group in _names(said) for word in group for who in self.providers.get(word, ())}
        return found - {name}

    def closure(self, names: Iterable[str]) -> set[str]:
        """These packages and all that they need to be configured."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.needs(name, "Depends", "Pre-Depends")
        return found

    def in_order(self, names: Iterable[str]) -> list[str]:
        """These packages so that each comes after what it needs, where they do not need each other; else by name."""
        known = sorted(set(names))
        for fields in (("Pre-Depends", "Depends"), ("Pre-Depends",)):
            sorter = TopologicalSorter({name: sorted(self.needs(name, *fields) & set(known)) for name in known})
            try:
                return list(sorter.static_order())
            except CycleError:
                continue
        return known


def _names(said: str) -> list[list[str]]:
    """The names in a field, without versions and architectures: groups of alternatives."""
    groups = []
    for group in said.split(","):
        matches = [_NAME.match(each) for each in group.split("|")]
        groups.append([match[1] for match in matches if match])
    return groups
