"""Hosts with declarations of their own: one wins within a lease, and they never take turns."""

from __future__ import annotations

import pytest

from bluestone.fleet.controller import lease
from bluestone.simulation.history import Violation
from bluestone.simulation.hosts import contend

HISTORIES = 40


def test_declarations_do_not_take_turns_and_somebody_leads_within_a_lease() -> None:
    contests = [contend(seed, hosts) for seed in range(HISTORIES) for hosts in (("alpha", "beta"), ("a", "b", "c"))]
    assert sum(contest.changes for contest in contests) > HISTORIES, "there is something to see"


def test_hosts_that_would_take_turns_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lease.refusal
    monkeypatch.setattr(lease, "refusal", lambda *asked, take_over, heir: real(*asked, take_over=take_over, heir=True))
    with pytest.raises(Violation, match="took turns"):
        contend(0)


def test_a_lease_that_nobody_heeds_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "refusal", lambda *_, **__: None)
    with pytest.raises(Violation):
        contend(0)
