"""What a build refuses in an image, and what waives it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from bluestone.model.path import pattern, shown
from bluestone.model.problem import Problem
from bluestone.model.recipe import FindingKind, Waiver

MOST_SHOWN = 30
"""Findings that one problem lists in full."""


class Finding(Struct, frozen=True):
    """Something that does not belong in an image. `path` begins with `/`; `why` never quotes a secret."""

    kind: FindingKind
    path: str
    why: str
    mend: str


class Judgement(Struct, frozen=True):
    """The findings that nothing waives, and the waivers that waived nothing."""

    refused: tuple[Finding, ...]
    unused: tuple[Waiver, ...]


def judge(findings: Iterable[Finding], waivers: Sequence[Waiver]) -> Judgement:
    """Hold findings against waivers."""
    refused: list[Finding] = []
    used: set[Waiver] = set()
    for finding in findings:
        having = {waiver for waiver in waivers if waives(waiver, finding)}
        used |= having
        if not having:
            refused.append(finding)
    return Judgement(tuple(refused), tuple(waiver for waiver in waivers if waiver not in used))


def waives(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is of this kind of finding and its path covers that of the finding."""
    return waiver.finding == finding.kind and pattern(waiver.path).fullmatch(finding.path) is not None


def refusal(refused: Sequence[Finding]) -> Problem:
    """The problem of an image in which these were found."""
    lines = [f"\n     {each.kind} {shown(each.path)}: {each.why}\n       {each.mend}" for each in refused[:MOST_SHOWN]]
    if len(refused) > MOST_SHOWN:
        lines.append(f"\n     and {len(refused) - MOST_SHOWN} more")
    first = refused[0]
    return Problem(
        f"{len(refused)} {'things are' if len(refused) > 1 else 'thing is'} in the image that must not be in one:"
        + "".join(lines),
        mend="see to each, or say in the declaration why it is right: "
        f'[[image.waivers]] finding = "{first.kind}", path = "{shown(first.path)}", reason = "..."',
    )
