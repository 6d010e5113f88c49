"""Exposures as statements for others: OpenVEX v0.2.0, and CycloneDX 1.6 as VEX. Pure.

They name vulnerabilities, so a fix that mends several is several statements.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from bluestone.model.advisory import Advisory
from bluestone.model.exposure import Exposure, Verdict
from bluestone.model.ids import Digest
from bluestone.patch.board import Board
from bluestone.patch.reports.uri import quoted

CONTEXT = "https://openvex.dev/ns/v0.2.0"
SPACE = uuid.UUID("5a4f3c1e-9d5b-5c1a-8e51-0a1f2f3b4c5d")
"""The namespace of documents' names (RFC 9562, version 5): the same exposures have the same name."""

STATUS = {
    Verdict.AFFECTED_WITH_FIX: "affected",
    Verdict.AFFECTED_WITHOUT_FIX: "affected",
    Verdict.WAIVED: "affected",
    Verdict.NOT_AFFECTED: "not_affected",
    Verdict.UNKNOWN: "under_investigation",
}
STATE = {"affected": "exploitable", "not_affected": "not_affected", "under_investigation": "in_triage"}
"""CycloneDX's words for OpenVEX's."""


def openvex(board: Board) -> dict[str, Any]:
    """A document whose author is the project; its products are images, by their digests."""
    statements = []
    for each, name, aliases in _each(board):
        status = STATUS[each.verdict]
        statement: dict[str, Any] = {
            "vulnerability": {"name": name, **({"aliases": aliases} if aliases else {})},
            "products": [{"@id": product(board.project, each.image), "subcomponents": [{"@id": each.component.purl}]}],
            "status": status,
        }
        if status == "not_affected":
            statement["impact_statement"] = each.why
        elif status == "affected":
            statement["action_statement"] = _action(each)
        else:
            statement["status_notes"] = each.why
        statements.append(statement)
    at = board.assessment.at.isoformat()
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{uuid.uuid5(SPACE, f'{board.project} {at}')}",
        "author": board.project,
        "timestamp": at,
        "version": 1,
        "tooling": "bluestone",
        "statements": statements,
    }


def cyclonedx(board: Board, version: str) -> dict[str, Any]:
    """A bill of the components in question, with their vulnerabilities and what is to be thought of these."""
    components: dict[str, dict[str, Any]] = {}
    vulnerabilities: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each, name, aliases in _each(board):
        component, status = each.component, STATUS[each.verdict]
        components.setdefault(
            component.purl,
            {
                "type": "library",
                "bom-ref": component.purl,
                "name": component.name,
                "version": component.version,
                "purl": component.purl,
            },
        )
        analysis = {"state": STATE[status], "detail": each.why}
        if status == "affected":
            analysis["response"] = ["update"] if each.fixed else ["can_not_fix"]  # type: ignore[assignment]
        found = vulnerabilities.setdefault(
            (name, status, each.why),
            {
                "id": name,
                **({"references": [{"id": a, "source": {"name": _of(a)}} for a in aliases]} if aliases else {}),
                **_ratings(each.advisory),
                **({"description": each.advisory.summary} if each.advisory.summary else {}),
                **({"recommendation": _action(each)} if status == "affected" else {}),
                **({"published": each.advisory.published.isoformat()} if each.advisory.published else {}),
                "analysis": analysis,
                "affects": [],
            },
        )
        if {"ref": component.purl} not in found["affects"]:
            found["affects"].append({"ref": component.purl})
    at = board.assessment.at.isoformat()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, f'{board.project} {at} cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": at,
            "tools": {"components": [{"type": "application", "name": "bluestone", "version": version}]},
            "component": {"type": "application", "name": board.project},
        },
        "components": list(components.values()),
        "vulnerabilities": list(vulnerabilities.values()),
    }


def product(project: str, image: Digest) -> str:
    """An image as a package URL (purl-spec, type oci)."""
    return f"pkg:oci/{project}@{quoted(image)}"


def _each(board: Board) -> Iterator[tuple[Exposure, str, list[str]]]:
    """Exposures by each vulnerability that they are about, with its other names."""
    for each in board.assessment.exposures:
        advisory = each.advisory
        if advisory.pending and advisory.cves:
            for cve in advisory.cves:
                yield each, cve, []
        else:
            name = advisory.cves[0] if advisory.cves else advisory.id
            yield each, name, [alias for alias in advisory.names if alias != name]


def _action(each: Exposure) -> str:
    if each.verdict is Verdict.WAIVED:
        return each.why
    if not each.fixed:
        return f"no fix is known: {each.why}"
    return f"replace the servers by ones that have {each.source or each.component.name} {each.fixed}"


def _ratings(advisory: Advisory) -> dict[str, Any]:
    if advisory.severity == "unknown" and advisory.cvss is None:
        return {}
    score = {} if advisory.cvss is None else {"score": advisory.cvss, "method": "CVSSv31"}
    return {"ratings": [{"severity": advisory.severity, **score}]}


def _of(name: str) -> str:
    return name.partition("-")[0]
