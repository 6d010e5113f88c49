"""Exposures as SARIF 2.1.0 (OASIS), which code hosts show beside a change. Pure."""

from __future__ import annotations

from typing import Any

from bluestone.model.advisory import Advisory
from bluestone.model.ids import short
from bluestone.patch.board import Board
from bluestone.patch.policy import Standing
from bluestone.patch.reports.uri import quoted

LEVELS: dict[Standing, str] = {
    "overdue": "error",
    "due": "warning",
    "someday": "note",
    "no fix": "note",
    "unknown": "warning",
    "waived": "note",
}
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(board: Board, version: str) -> dict[str, Any]:
    """A log of one run. What could not be told are notifications, and the run is then not successful."""
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for each, due, standing in board.each():
        if standing is None:
            continue
        advisory, component = each.advisory, each.component
        rules.setdefault(advisory.id, _rule(advisory))
        mend = f"; fixed in {each.fixed}" if each.fixed else ""
        when = f", due {due.at:%Y-%m-%d}" if due.at else ""
        result = {
            "ruleId": advisory.id,
            "level": LEVELS[standing],
            "kind": "fail",
            "message": {"text": f"{component.name} {component.version} ({standing}{when}): {each.why}{mend}"},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": quoted(component.path.lstrip("/"), "/")}},
                    "logicalLocations": [{"fullyQualifiedName": component.purl, "kind": "package"}],
                }
            ],
            "partialFingerprints": {"exposure/v1": f"{advisory.id} {component.purl} {component.path}"},
            "properties": {"image": each.image, "verdict": each.verdict, "fixed": each.fixed, "standing": standing},
        }
        if standing == "waived":
            result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": each.why}]
        results.append(result)
    found = board.assessment
    told = [f"{u.components} components of {u.realm or 'unidentified files'}: {u.why}" for u in found.unknown]
    untold = [*(f"image {short(u.image)}: {text}" for u, text in zip(found.unknown, told, strict=True)), *found.gaps]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "bluestone", "version": version, "rules": list(rules.values())}},
                "invocations": [
                    {
                        "executionSuccessful": not untold,
                        "endTimeUtc": f"{found.at:%Y-%m-%dT%H:%M:%SZ}",
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": text}} for text in untold
                        ],
                    }
                ],
                "results": results,
            }
        ],
    }


def _rule(advisory: Advisory) -> dict[str, Any]:
    text = advisory.summary or ", ".join(advisory.cves) or advisory.id
    score = {} if advisory.cvss is None else {"security-severity": str(advisory.cvss)}
    return {
        "id": advisory.id,
        "shortDescription": {"text": text},
        "properties": {"tags": ["security", *advisory.cves], "severity": advisory.severity, **score},
    }
