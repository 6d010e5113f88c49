"""OpenVEX documents (github.com/openvex/spec, v0.2.0): what makers say of advisories in their products. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec

from bluestone.model.advisory import Statement
from bluestone.patch.feeds.reading import Damaged, Reading, moment

Status = Literal["not_affected", "affected", "fixed", "under_investigation"]


class _Vulnerability(msgspec.Struct):
    name: str = ""
    id: str = msgspec.field(name="@id", default="")
    aliases: list[str] = []


class _Component(msgspec.Struct):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] = {}
    hashes: dict[str, str] = {}
    subcomponents: list[Any] = []


class _Statement(msgspec.Struct):
    vulnerability: str | _Vulnerability
    status: str
    products: list[str | _Component] = []
    justification: str = ""
    impact_statement: str = ""
    timestamp: str = ""


class _Document(msgspec.Struct):
    context: str = msgspec.field(name="@context")
    statements: list[_Statement]
    author: str = ""
    timestamp: str = ""


def read(content: bytes) -> Reading:
    """A document's statements. Raises `Damaged`, also for one that says nothing, or of nothing."""
    try:
        found = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"cannot be read: {error}") from error
    if "openvex.dev/ns" not in found.context:
        raise Damaged(f"is no OpenVEX document, but of {found.context[:80]!r}")
    statements = tuple(_statement(each, found) for each in found.statements)
    return Reading(len(statements), dated=moment(found.timestamp), statements=statements)


def _statement(said: _Statement, document: _Document) -> Statement:
    if said.status not in get_args(Status):
        raise Damaged(f"has a status that is not known, {said.status[:40]!r}")
    about = said.vulnerability
    named = [about] if isinstance(about, str) else [about.name, *about.aliases]
    names = tuple(filter(None, named)) or ((about.id.rpartition("/")[2],) if isinstance(about, _Vulnerability) else ())
    products = tuple(name for product in said.products for name in _products(product))
    if not names or not products:
        raise Damaged("has a statement without a vulnerability or a product")
    why = ": ".join(filter(None, (said.justification.replace("_", " "), said.impact_statement)))
    at = moment(said.timestamp or document.timestamp)
    return Statement(names, products, said.status, why, document.author, at)  # type: ignore[arg-type]  # one of them


def _products(product: Any) -> Iterator[str]:
    """A product's own names; those of its parts alone, if it has some: the statement is about these within it."""
    if isinstance(product, str):
        yield product
        return
    try:
        each = product if isinstance(product, _Component) else msgspec.convert(product, _Component)
    except msgspec.ValidationError as error:
        raise Damaged(f"has a product that cannot be read: {error}") from error
    if each.subcomponents:
        for part in each.subcomponents:
            yield from _products(part)
        return
    digest = each.hashes.get("sha-256", "")
    yield from filter(None, (each.id, each.identifiers.get("purl", ""), digest and f"sha256:{digest}"))
