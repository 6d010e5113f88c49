from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from bluestone.fleet.age import too_old, why
from bluestone.model.ids import Digest
from bluestone.model.inventory import Inventory
from bluestone.model.server import Server

NOW = datetime(2026, 11, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
ONE = Server("web-1-a-1", "web", 1, 1, 1, Digest("sha256:a"), Digest("sha256:b"), "running", NOW - WEEK)


def test_who_is_as_old_as_may_be_is_to_go() -> None:
    young = replace(ONE, name="web-2-a-2", created_at=NOW - WEEK + timedelta(seconds=1))
    dead = replace(ONE, name="web-3-a-3", phase="dead")
    assert too_old(Inventory(NOW, (ONE, young, dead)), (), WEEK) == [ONE]
    assert "older than 7 days" in why(ONE, WEEK)


def test_nobody_twice_and_nobody_unseen() -> None:
    assert too_old(Inventory(NOW, (ONE,)), {ONE.name}, WEEK) == []
    assert too_old(Inventory(NOW, (ONE,), gaps=("a provider",)), (), WEEK) == []
