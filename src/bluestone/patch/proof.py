"""What was exposed, replaced and verified: the proof of a patch, as an in-toto statement (v1). Pure.

Of the predicate type `PREDICATE_TYPE`: subjects are the images that servers were moved to, each by the digest of its
manifest. `read` takes only a proof that agrees with itself: no server on an exposed image, every figure what follows
from the servers' own times. Who signed it is another question (see `image.signing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import ceil

import msgspec

from bluestone.model.intoto import STATEMENT_TYPE, Resource, by_sha256

PREDICATE_TYPE = "urn:bluestone:proof:patch:v1"


class Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A fix that reached all servers, and all names of the advisories that it ends. `since` is when it was there,
    `due` its deadline, `triage` whether the rule asked to look for traces of an attack as well."""

    fix: str
    installed: tuple[str, ...]
    advisories: tuple[str, ...]
    since: datetime | None
    due: datetime | None
    triage: bool = False


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What was known by: a feed, the SHA-256 of what was read of it, and the moment that it describes."""

    name: str
    digest: str
    date: datetime | None
    verified: str = ""
    trouble: str = ""


class Bills(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An image, and the SHA-256 of its bills of materials by their files' names."""

    image: str
    bills: dict[str, str]


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An exposed server, and what took its place: in its slot, or where the new servers have slots of their own, in
    their order. `switched` is when requests no longer went to it (None of one that got none), `gone` when it was
    destroyed. `after` is empty where nothing took its place."""

    before: str
    image_before: str
    after: str
    image_after: str
    switched: datetime | None
    gone: datetime


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The question that closed it: which servers run an image exposed to any of this? `servers` were asked about.

    `unreported` are servers that the journal knows of and no provider lists.
    """

    at: datetime
    servers: int
    exposed: tuple[str, ...]
    unreported: tuple[str, ...]


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Seconds until exposed servers were gone: the median, the 95th percentile (nearest rank), the longest."""

    p50: float
    p95: float
    max: float


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The proof of a patch. `verdict` is when it was known that servers are exposed, and `closed` when none was.

    `from_verdict` and `from_fix` are the times of all servers from there on; the latter from when the last of the fixes
    was available, None where that is not known.
    """

    project: str
    groups: tuple[str, ...]
    patch: str
    by: str
    bluestone: str
    verdict: datetime
    closed: datetime
    ended: tuple[Ended, ...]
    feeds: tuple[Feed, ...]
    before: tuple[Bills, ...]
    after: tuple[Bills, ...]
    servers: tuple[Moved, ...]
    query: Query
    from_verdict: Times | None
    from_fix: Times | None


class _Statement(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    type: str = msgspec.field(name="_type")
    subject: list[Resource]
    predicate_type: str
    predicate: Proof


def times(seconds: Iterable[float]) -> Times | None:
    """The times of these seconds, to the millisecond; None of none."""
    ordered = sorted(seconds)
    if not ordered:
        return None

    def rank(percent: int) -> float:
        return round(ordered[max(0, ceil(len(ordered) * percent / 100) - 1)], 3)

    return Times(rank(50), rank(95), round(ordered[-1], 3))


def from_verdict(verdict: datetime, servers: Iterable[Moved]) -> Times | None:
    """How long servers were exposed after that was known."""
    return times((server.gone - verdict).total_seconds() for server in servers)


def from_fix(ended: Iterable[Ended], servers: Iterable[Moved]) -> Times | None:
    """How long servers were exposed after there was a fix for all of it."""
    sinces = [each.since for each in ended]
    known = [since for since in sinces if since is not None]
    if not known or len(known) < len(sinces):
        return None
    return times((server.gone - max(known)).total_seconds() for server in servers)


def statement(proof: Proof) -> bytes:
    """The proof as a statement: the same bytes for the same proof."""
    subjects = [Resource(f"image {each.image[7:19]}", digest=by_sha256(each.image)) for each in proof.after]
    return msgspec.json.encode(_Statement(STATEMENT_TYPE, subjects, PREDICATE_TYPE, proof))


def read(payload: bytes) -> Proof:
    """The proof in a statement. Raises `ValueError` for any other, and for one that does not agree with itself."""
    try:
        said = msgspec.json.decode(payload, type=_Statement)
    except msgspec.MsgspecError as error:
        raise ValueError(f"it is no proof of bluestone's: {error}") from error
    if (said.type, said.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise ValueError(f"it is {said.predicate_type}")
    if statement(said.predicate) != payload:
        raise ValueError("it is not in the form that bluestone writes")
    if wrong := list(contradictions(said.predicate)):
        raise ValueError(f"it contradicts itself: {'; '.join(wrong)}")
    return said.predicate


def contradictions(proof: Proof) -> Iterator[str]:
    """In which points a proof does not agree with itself, or does not prove that it is over."""
    if proof.query.exposed:
        yield f"servers are exposed still: {', '.join(proof.query.exposed)}"
    if proof.query.unreported:
        yield f"of servers it is not known whether they are: {', '.join(proof.query.unreported)}"
    before, after = {each.image for each in proof.before}, {each.image for each in proof.after}
    for image in sorted(before & after):
        yield f"the image {image} is exposed, and servers were moved to it"
    for each in proof.servers:
        if each.image_before not in before:
            yield f"{each.before} was exposed, and its image {each.image_before} is not"
        if each.after and each.image_after not in after:
            yield f"{each.after} took its place, and its image {each.image_after} is not said to be good"
        if not proof.verdict <= each.gone <= proof.closed:
            yield f"{each.before} was gone before the patch began, or after it was closed"
    if proof.query.at > proof.closed:
        yield "it was closed before it was asked whether it is over"
    if proof.from_verdict != from_verdict(proof.verdict, proof.servers):
        yield "the times from the verdict are not those of the servers"
    if proof.from_fix != from_fix(proof.ended, proof.servers):
        yield "the times from the fix are not those of the servers"
