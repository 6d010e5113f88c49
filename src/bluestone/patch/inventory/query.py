"""What a person asks `where` for: a name, a glob or a package URL, and comparisons with versions. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from msgspec import Struct

from bluestone.model.bom import Ecosystem
from bluestone.model.problem import Problem
from bluestone.patch.versions import KEYS

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "<": operator.lt,
    ">>": operator.gt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "=": operator.eq,
}
"""As people and dpkg write them, the longer ones first."""

SOURCE = "source"
KINDS: dict[str, Ecosystem] = {name: name for name in get_args(Ecosystem)} | {"go": "golang", "crates": "cargo"}
"""What may stand before the colon, besides `SOURCE`."""

LONGEST = 1000
"""Characters of a query."""

_QUERY = re.compile(r"\s*(pkg:[^\s<>]+|[^\s<>=!,]+)\s*(.*)", re.DOTALL)
_CONSTRAINT = re.compile(rf"({'|'.join(OPERATORS)})\s*([^\s<>=!,]+)[\s,]*")
_SEPARATORS = re.compile(r"[-_.]+")
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_GLOB = frozenset("*?[")
MEND = (
    "write it like 'maven:org.apache.struts/struts2-core <2.3.32', 'openssl', 'npm:@scope/*' or 'pkg:pypi/jinja2@3.1.2'"
)


class Constraint(NamedTuple):
    """`operator` (of `OPERATORS`) and what the version is compared with."""

    operator: str
    version: str


class Query(Struct, frozen=True):
    """`name` as `folded` makes it, or a glob of such names.

    `ecosystem` None: whichever. `by_name` and `by_source` say what the name may be of: of what is there, or of the
    Debian source package that it was built from. All `constraints` must hold.
    """

    name: str
    ecosystem: Ecosystem | None = None
    by_name: bool = True
    by_source: bool = True
    constraints: tuple[Constraint, ...] = ()

    @property
    def is_glob(self) -> bool:
        """Whether `*`, `?` and `[...]` stand for others."""
        return not _GLOB.isdisjoint(self.name)

    def admits(self, ecosystem: Ecosystem, version: str) -> bool:
        """Whether a version is one that is asked for. Raises `ValueError` if the ecosystem has no such version."""
        if not self.constraints:
            return True
        key = KEYS[ecosystem]
        mine = key(version)
        return all(OPERATORS[each.operator](mine, key(each.version)) for each in self.constraints)


def folded(ecosystem: Ecosystem, name: str) -> str:
    """The form of a name in which it is looked for: what an ecosystem takes for one name is one."""
    return _SEPARATORS.sub("-", name).lower() if ecosystem == "pypi" else name.lower()


def parse(text: str) -> Query:
    """The query of a text. Raises `Problem`."""
    if len(text) > LONGEST:
        raise Problem(f"a query of {len(text)} characters is too long", mend=f"{LONGEST} are read at most")
    match = _QUERY.fullmatch(text)
    if match is None:
        raise Problem(f"{text!r} names no package", mend=MEND)
    named, rest = match.groups()
    constraints = _constraints(text, rest)
    query = _of_purl(named, constraints) if named.startswith("pkg:") else _of_name(named, constraints)
    _require_versions(query)
    return query


def _constraints(text: str, rest: str) -> tuple[Constraint, ...]:
    found, at = [], 0
    while at < len(rest):
        match = _CONSTRAINT.match(rest, at)
        if match is None:
            raise Problem(f"{rest[at:]!r} in {text!r} is no comparison with a version", mend=MEND)
        found.append(Constraint(match[1], match[2]))
        at = match.end()
    return tuple(found)


def _of_name(named: str, constraints: tuple[Constraint, ...]) -> Query:
    kind, colon, name = named.partition(":")
    if not colon:
        return Query(named.lower(), constraints=constraints)
    if not name:
        raise Problem(f"{named!r} names no package", mend=MEND)
    if kind == SOURCE:
        return Query(name.lower(), "deb", by_name=False, constraints=constraints)
    ecosystem = KINDS.get(kind)
    if ecosystem is None:
        if "." in kind:  # a Maven group
            return Query(named.lower(), "maven", by_source=False, constraints=constraints)
        raise Problem(
            f"there is no kind of package called {kind!r}", mend=f"it is one of {', '.join([*KINDS, SOURCE])}; or none"
        )
    if ecosystem == "maven":
        name = name.replace("/", ":", 1)
    return Query(_pattern(ecosystem, name), ecosystem, by_source=ecosystem == "deb", constraints=constraints)


def _of_purl(text: str, constraints: tuple[Constraint, ...]) -> Query:
    """`pkg:KIND/NAMESPACE/NAME@VERSION?QUALIFIERS#PATH`; what is after the version is not looked at."""
    kind, _, path = text[4:].partition("#")[0].partition("?")[0].strip("/").partition("/")
    path, at, version = path.partition("@") if not path.startswith("@") else _scoped(path)
    parts = [_decoded(part) for part in path.split("/") if part]
    ecosystem = KINDS.get(kind.lower())
    if ecosystem is None or not parts:
        raise Problem(f"{text} is no package URL that can be looked for", mend=f"kinds are {', '.join(KINDS)}")
    if ecosystem == "deb":
        name = parts[-1]  # the namespace is the distribution
    else:
        name = ":".join(("/".join(parts[:-1]), parts[-1])) if ecosystem == "maven" and parts[1:] else "/".join(parts)
    own = (Constraint("=", _decoded(version)),) if at and version else ()
    return Query(_pattern(ecosystem, name), ecosystem, by_source=False, constraints=(*own, *constraints))


def _decoded(text: str) -> str:
    """A text with `%40` and the like in it, without."""
    octets = _ENCODED.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode(errors="replace"))
    return octets.decode(errors="replace")


def _scoped(path: str) -> tuple[str, str, str]:
    """An npm scope that was not written as `%40`."""
    name, at, version = path[1:].partition("@")
    return f"@{name}", at, version


def _pattern(ecosystem: Ecosystem, name: str) -> str:
    return name.lower() if ecosystem == "pypi" and not _GLOB.isdisjoint(name) else folded(ecosystem, name)


def _require_versions(query: Query) -> None:
    """Raise `Problem` for a version that the ecosystem asked for does not have: nothing could be compared with it."""
    for each in query.constraints if query.ecosystem else ():
        try:
            KEYS[query.ecosystem](each.version)  # type: ignore[index]
        except ValueError as error:
            raise Problem(
                f"nothing can be compared with that: {error}", mend="write it as the ecosystem does"
            ) from error
