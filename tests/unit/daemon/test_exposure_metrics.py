"""What Prometheus is told of exposures."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from bluestone.daemon.metrics import Metrics
from bluestone.patch.history import Look

AT = datetime(2026, 11, 30, tzinfo=UTC)


def figures(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_nothing_is_told_of_what_nobody_looked_at() -> None:
    assert not [name for name in figures(Metrics()) if "expos" in name[0] or "feed" in name[0]]


def test_the_newest_look() -> None:
    metrics = Metrics()
    metrics.look = lambda: Look(AT, {"overdue": 2}, "affected", 7, AT, {"archive": True, "npm": False})
    found = figures(metrics)
    assert found["bluestone_exposures", "overdue"] == 2 and found["bluestone_exposures", "due"] == 0
    assert found["bluestone_exposures_outcome", "affected"] == 1 and found["bluestone_exposures_outcome", "clean"] == 0
    assert (found["bluestone_feed_sound", "archive"], found["bluestone_feed_sound", "npm"]) == (1, 0)
    assert found[("bluestone_exposed_servers",)] == 7
    assert found[("bluestone_oldest_fix_timestamp_seconds",)] == AT.timestamp()
