"""The deadlines of CISA's Binding Operational Directive 26-04 (June 2026), its Table 1. Pure.

The figures are those of the decision table `cisa_bod_26_04` 1.0.0 that CERT/CC publishes with SSVC (CERTCC/SSVC,
data/csv/cisa/cisa_bod_26_04_1_0_0.csv): four questions, each yes or no.
"""

from __future__ import annotations

from datetime import timedelta

SOURCE = "CISA BOD 26-04"

_DAYS: dict[tuple[bool, bool, bool, bool], int | None] = {
    # exploited, exposed, automatable, total impact: days; None is "fix on system upgrade"
    (False, False, False, False): None,
    (True, False, False, False): 14,
    (False, True, False, False): 60,
    (False, False, True, False): 60,
    (False, False, False, True): None,
    (True, True, False, False): 14,
    (True, False, True, False): 14,
    (False, True, True, False): 14,
    (True, False, False, True): 14,
    (False, True, False, True): 14,
    (False, False, True, True): 60,
    (True, True, True, False): 3,
    (True, True, False, True): 3,
    (True, False, True, True): 3,
    (False, True, True, True): 3,
    (True, True, True, True): 3,
}

_FORENSIC = {(True, True, False, True), (True, False, True, True), (True, True, True, True)}
"""Where the directive asks for forensic triage besides: whether the server was already taken over."""


def within(
    *, exploited: bool, exposed: bool, automatable: bool | None = None, total: bool | None = None
) -> timedelta | None:
    """The time that the directive gives from the fix on; None for "with the next upgrade".

    `exploited`: it is in CISA's catalogue. `exposed`: the server can be reached from elsewhere. `automatable`: all
    steps of an attack can be automated. `total`: it gives total control. What is None is not known, and counts as yes.
    """
    days = _DAYS[_row(exploited, exposed, automatable, total)]
    return None if days is None else timedelta(days=days)


def asks_for_triage(
    *, exploited: bool, exposed: bool, automatable: bool | None = None, total: bool | None = None
) -> bool:
    """Whether the directive asks to look for traces of an attack as well."""
    return _row(exploited, exposed, automatable, total) in _FORENSIC


def _row(exploited: bool, exposed: bool, automatable: bool | None, total: bool | None) -> tuple[bool, bool, bool, bool]:
    return exploited, exposed, automatable is not False, total is not False
